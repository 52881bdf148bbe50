-- Sums of sku_daily. Grain: one (shop, product, SKU) with a used row in order_lines.
SELECT
  shop_id,
  product_id,
  sku_id,
  CAST(sum(sub_total + shipping_fee) AS DECIMAL(38, 2)) AS gmv,
  CAST(count(*) AS BIGINT) AS sku_orders,
  CAST(sum(quantity) AS BIGINT) AS items_sold
FROM order_lines
GROUP BY shop_id, product_id, sku_id
