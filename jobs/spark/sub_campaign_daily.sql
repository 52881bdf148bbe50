-- Sums of sub_campaign_daily. Grain: one (shop, sub-campaign) with a used row in order_lines.
SELECT
  shop_id,
  sub_campaign_id,
  CAST(sum(sub_total + shipping_fee) AS DECIMAL(38, 2)) AS gmv,
  CAST(count(DISTINCT order_id) AS BIGINT) AS orders,
  CAST(count(*) AS BIGINT) AS sku_orders,
  CAST(sum(quantity) AS BIGINT) AS items_sold
FROM order_lines
WHERE sub_campaign_id IS NOT NULL
GROUP BY shop_id, sub_campaign_id
