-- Sums of channel_daily, and of the GMV by channel in shop_daily.
-- Grain: one (shop, channel) with a used row in order_lines or product_traffic.
SELECT
  shop_id,
  channel,
  CAST(coalesce(gmv, 0) AS DECIMAL(38, 2)) AS gmv,
  CAST(coalesce(sku_orders, 0) AS BIGINT) AS sku_orders,
  CAST(coalesce(items_sold, 0) AS BIGINT) AS items_sold,
  CAST(coalesce(product_impressions, 0) AS BIGINT) AS product_impressions,
  CAST(coalesce(product_clicks, 0) AS BIGINT) AS product_clicks,
  CAST(coalesce(page_views, 0) AS BIGINT) AS page_views,
  CAST(coalesce(add_to_carts, 0) AS BIGINT) AS add_to_carts
FROM (
  SELECT shop_id, channel, sum(sub_total + shipping_fee) AS gmv, count(*) AS sku_orders, sum(quantity) AS items_sold
  FROM order_lines
  GROUP BY shop_id, channel
) AS sales
FULL OUTER JOIN (
  SELECT
    shop_id,
    channel,
    sum(impressions) AS product_impressions,
    sum(clicks) AS product_clicks,
    sum(page_views) AS page_views,
    sum(add_to_carts) AS add_to_carts
  FROM product_traffic
  GROUP BY shop_id, channel
) AS visits
USING (shop_id, channel)
