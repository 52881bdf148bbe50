-- Totals over the used rows, added up apart from the tables that must equal them. One row.
SELECT
  CAST(coalesce(gmv, 0) AS DECIMAL(38, 2)) AS gmv,
  CAST(sku_orders AS BIGINT) AS sku_orders,
  CAST(coalesce(items_sold, 0) AS BIGINT) AS items_sold,
  CAST(coalesce(product_impressions, 0) AS BIGINT) AS product_impressions,
  CAST(coalesce(product_clicks, 0) AS BIGINT) AS product_clicks
FROM (
  SELECT sum(sub_total + shipping_fee) AS gmv, count(*) AS sku_orders, sum(quantity) AS items_sold FROM order_lines
) AS sales
CROSS JOIN (
  SELECT sum(impressions) AS product_impressions, sum(clicks) AS product_clicks FROM product_traffic
) AS visits
