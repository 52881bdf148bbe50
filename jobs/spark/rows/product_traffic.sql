-- Why a row of product_traffic is not used; null for a row to use. Grain: one exported row.
-- Source: SPEC.md section 2. The first rule that a row breaks counts. There is no key, so no row is a duplicate.
--
-- product_traffic_read: the exported rows, with their place (file_number, row_index). unfit: a value that does not fit the mapping of its
-- column in the job file.
SELECT
  *,
  CASE
    WHEN unfit IS NOT NULL THEN unfit
    WHEN shop_id IS NULL OR product_id IS NULL OR user_id IS NULL OR channel IS NULL
      OR impressions IS NULL OR clicks IS NULL OR page_views IS NULL OR add_to_carts IS NULL
      THEN 'NULL_VALUE'
    WHEN impressions < 0 OR clicks < 0 OR page_views < 0 OR add_to_carts < 0 THEN 'NEGATIVE_COUNT'
    WHEN channel = '' THEN 'BAD_CHANNEL'
  END AS reason
FROM product_traffic_read
