-- Sums of product_daily. Grain: one (shop, product) with a used row in order_lines or product_traffic.
-- The program adds is_campaign_product and ratios.
SELECT
  shop_id,
  product_id,
  CAST(coalesce(gmv, 0) AS DECIMAL(38, 2)) AS gmv,
  CAST(coalesce(orders, 0) AS BIGINT) AS orders,
  CAST(coalesce(sku_orders, 0) AS BIGINT) AS sku_orders,
  CAST(coalesce(items_sold, 0) AS BIGINT) AS items_sold,
  CAST(coalesce(product_impressions, 0) AS BIGINT) AS product_impressions,
  CAST(coalesce(product_clicks, 0) AS BIGINT) AS product_clicks,
  CAST(coalesce(page_views, 0) AS BIGINT) AS page_views,
  CAST(coalesce(add_to_carts, 0) AS BIGINT) AS add_to_carts,
  CAST(coalesce(unique_page_viewers, 0) AS BIGINT) AS unique_page_viewers,
  CAST(coalesce(unique_cart_adders, 0) AS BIGINT) AS unique_cart_adders
FROM (
  SELECT
    shop_id,
    product_id,
    sum(sub_total + shipping_fee) AS gmv,
    count(DISTINCT order_id) AS orders,
    count(*) AS sku_orders,
    sum(quantity) AS items_sold
  FROM order_lines
  GROUP BY shop_id, product_id
) AS sales
FULL OUTER JOIN (
  SELECT
    shop_id,
    product_id,
    sum(impressions) AS product_impressions,
    sum(clicks) AS product_clicks,
    sum(page_views) AS page_views,
    sum(add_to_carts) AS add_to_carts,
    count(CASE WHEN page_views > 0 THEN 1 END) AS unique_page_viewers,
    count(CASE WHEN page_views > 0 AND add_to_carts > 0 THEN 1 END) AS unique_cart_adders
  FROM (
    SELECT
      shop_id,
      product_id,
      user_id,
      sum(impressions) AS impressions,
      sum(clicks) AS clicks,
      sum(page_views) AS page_views,
      sum(add_to_carts) AS add_to_carts
    FROM product_traffic
    GROUP BY shop_id, product_id, user_id
  ) AS users
  GROUP BY shop_id, product_id
) AS visits
USING (shop_id, product_id)
