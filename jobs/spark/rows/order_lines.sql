-- Why a row of order_lines is not used; null for a row to use. Grain: one exported row.
-- Source: SPEC.md section 2. The first rule that a row breaks counts; of rows with the same key, the first is used.
--
-- order_lines_read: the exported rows, with their place (file_number, row_index). unfit: a value that does not fit the mapping of its
-- column in the job file.
-- :most_amount: the greatest amount of money. :day_start, :day_end: the civil day [start, end) in UTC.
SELECT
  *,
  CASE
    WHEN breach IS NULL
      AND row_number() OVER (PARTITION BY order_id, sku_id, breach ORDER BY file_number, row_index) > 1
      THEN 'DUPLICATE_KEY'
    ELSE breach
  END AS reason
FROM (
  SELECT
    *,
    CASE
      WHEN unfit IS NOT NULL THEN unfit
      WHEN order_id IS NULL OR sku_id IS NULL OR product_id IS NULL OR shop_id IS NULL OR buyer_id IS NULL
        OR paid_at IS NULL OR quantity IS NULL OR sub_total IS NULL OR shipping_fee IS NULL
        OR platform_discount IS NULL OR shipping_platform_discount IS NULL OR channel IS NULL
        THEN 'NULL_VALUE'
      WHEN sub_total > CAST(:most_amount AS DECIMAL(18, 2)) OR shipping_fee > CAST(:most_amount AS DECIMAL(18, 2))
        OR platform_discount > CAST(:most_amount AS DECIMAL(18, 2))
        OR shipping_platform_discount > CAST(:most_amount AS DECIMAL(18, 2))
        THEN 'TOO_LARGE'
      WHEN quantity < 1 THEN 'BAD_QUANTITY'
      WHEN sub_total < 0 OR shipping_fee < 0 OR platform_discount < 0 OR shipping_platform_discount < 0
        THEN 'NEGATIVE_MONEY'
      WHEN paid_at < CAST(:day_start AS TIMESTAMP) OR paid_at >= CAST(:day_end AS TIMESTAMP) THEN 'OUTSIDE_DAY'
      WHEN channel = '' THEN 'BAD_CHANNEL'
    END AS breach
  FROM order_lines_read
) AS judged
