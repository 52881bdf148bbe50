-- The tables that the job should publish, straight from the exports, written from SPEC.md alone.
-- Variables: exports (folder), zone (time zone of the civil days).

-- Rows by the rules of section 2: `reason` is null for a row that is used.
create table order_lines as
with rows as (
  select *, case
      when order_id is null or sku_id is null or product_id is null or shop_id is null or buyer_id is null
        or paid_at is null or quantity is null or sub_total is null or shipping_fee is null
        or platform_discount is null or shipping_platform_discount is null or channel is null then 'NULL_VALUE'
      when quantity < 1 then 'BAD_QUANTITY'
      when least(sub_total, shipping_fee, platform_discount, shipping_platform_discount) < 0 then 'NEGATIVE_MONEY'
      when cast(timezone(getvariable('zone'), paid_at) as date) <> dt then 'OUTSIDE_DAY'
      when channel = '' then 'BAD_CHANNEL' end as broken
  from read_parquet(getvariable('exports') || '/order_lines/*/*.parquet', hive_partitioning = true, filename = true,
                    file_row_number = true))
select * exclude (broken), coalesce(broken, case when row_number() over (
    partition by dt, order_id, sku_id, broken is null order by filename, file_row_number) > 1 then 'DUPLICATE_KEY' end)
  as reason
from rows;

create table product_traffic as
select *, case
    when shop_id is null or product_id is null or user_id is null or channel is null or impressions is null
      or clicks is null or page_views is null or add_to_carts is null then 'NULL_VALUE'
    when least(impressions, clicks, page_views, add_to_carts) < 0 then 'NEGATIVE_COUNT'
    when channel = '' then 'BAD_CHANNEL' end as reason
from read_parquet(getvariable('exports') || '/product_traffic/*/*.parquet', hive_partitioning = true);

create table shops as
with rows as (
  select *, case when shop_id is null or shop_name is null then 'NULL_VALUE' end as broken
  from read_parquet(getvariable('exports') || '/shops/*/*.parquet', hive_partitioning = true, filename = true,
                    file_row_number = true))
select * exclude (broken), coalesce(broken, case when row_number() over (
    partition by dt, shop_id, broken is null order by filename, file_row_number) > 1 then 'DUPLICATE_KEY' end) as reason
from rows;

create table campaigns as
with rows as (
  select *, case
      when campaign_id is null or campaign_name is null or first_day is null or last_day is null then 'NULL_VALUE'
      when last_day < first_day then 'BAD_RANGE' end as broken
  from read_parquet(getvariable('exports') || '/campaigns/*/*.parquet', hive_partitioning = true, filename = true,
                    file_row_number = true)),
judged as (
  select *, coalesce(broken, case when row_number() over (
      partition by dt, campaign_id, broken is null order by filename, file_row_number) > 1 then 'DUPLICATE_KEY' end)
    as reason
  from rows)
select * exclude (broken), dt between first_day and last_day as in_scope from judged;

create table campaign_shops as
with rows as (
  select *, case
      when campaign_id is null or shop_id is null then 'NULL_VALUE'
      when target_gmv < 0 then 'NEGATIVE_MONEY' end as broken
  from read_parquet(getvariable('exports') || '/campaign_shops/*/*.parquet', hive_partitioning = true, filename = true,
                    file_row_number = true)),
judged as (
  select *, coalesce(broken, case when row_number() over (
      partition by dt, campaign_id, shop_id, broken is null order by filename, file_row_number) > 1
      then 'DUPLICATE_KEY' end) as reason
  from rows)
select j.* exclude (broken), c.campaign_id is not null as in_scope
from judged j left join campaigns c on c.reason is null and c.in_scope and c.dt = j.dt and c.campaign_id = j.campaign_id;

create table campaign_products as
with rows as (
  select *, case when campaign_id is null or shop_id is null or product_id is null then 'NULL_VALUE' end as broken
  from read_parquet(getvariable('exports') || '/campaign_products/*/*.parquet', hive_partitioning = true,
                    filename = true, file_row_number = true)),
judged as (
  select *, coalesce(broken, case when row_number() over (
      partition by dt, campaign_id, product_id, broken is null order by filename, file_row_number) > 1
      then 'DUPLICATE_KEY' end) as reason
  from rows)
select j.* exclude (broken), c.campaign_id is not null as in_scope
from judged j left join campaigns c on c.reason is null and c.in_scope and c.dt = j.dt and c.campaign_id = j.campaign_id;

create table datasets as
select 'order_lines' dataset, dt, true in_scope, reason from order_lines
union all select 'product_traffic', dt, true, reason from product_traffic
union all select 'shops', dt, true, reason from shops
union all select 'campaigns', dt, in_scope, reason from campaigns
union all select 'campaign_shops', dt, in_scope, reason from campaign_shops
union all select 'campaign_products', dt, in_scope, reason from campaign_products;

create view sold as select * from order_lines where reason is null;
create view seen as select * from product_traffic where reason is null;

-- Section 3.1. There are no contents and no ad_hours, so what needs them is null.
create table shop_daily as
with lines as (
  select dt, shop_id, sum(sub_total + shipping_fee) gmv,
    sum(case channel when 'LIVE' then sub_total + shipping_fee else 0 end) gmv_live,
    sum(case channel when 'VIDEO' then sub_total + shipping_fee else 0 end) gmv_video,
    count(distinct order_id) orders, count(*) sku_orders, sum(quantity) items_sold, count(distinct buyer_id) customers,
    sum(platform_discount) contribution_product, sum(shipping_platform_discount) contribution_shipping
  from sold group by all),
users as (
  select dt, shop_id, user_id, sum(impressions) impressions, sum(clicks) clicks, sum(page_views) page_views,
    sum(add_to_carts) add_to_carts
  from seen group by all),
traffic as (
  select dt, shop_id, sum(impressions) product_impressions, sum(clicks) product_clicks, sum(page_views) page_views,
    sum(add_to_carts) add_to_carts, count_if(impressions > 0) unique_reach, count_if(clicks > 0) unique_clicks,
    count_if(page_views > 0) unique_page_viewers, count_if(page_views > 0 and add_to_carts > 0) unique_cart_adders
  from users group by all),
grain as (
  select dt, shop_id from shops where reason is null union select dt, shop_id from lines
  union select dt, shop_id from traffic)
select g.dt, g.shop_id, s.category, coalesce(gmv, 0) gmv, coalesce(gmv_live, 0) gmv_live, coalesce(gmv_video, 0) gmv_video,
  coalesce(gmv - gmv_live - gmv_video, 0) gmv_product_card, coalesce(orders, 0) orders, coalesce(sku_orders, 0) sku_orders,
  coalesce(items_sold, 0) items_sold, coalesce(customers, 0) customers, gmv::double / nullif(orders, 0) avg_order_value,
  coalesce(contribution_product, 0) contribution_product, coalesce(contribution_shipping, 0) contribution_shipping,
  coalesce(contribution_product + contribution_shipping, 0) estimated_tiktok_contribution,
  coalesce(product_impressions, 0) product_impressions, coalesce(product_clicks, 0) product_clicks,
  coalesce(page_views, 0) page_views, coalesce(add_to_carts, 0) add_to_carts, coalesce(unique_reach, 0) unique_reach,
  coalesce(unique_clicks, 0) unique_clicks, coalesce(unique_page_viewers, 0) unique_page_viewers,
  coalesce(unique_cart_adders, 0) unique_cart_adders, product_clicks / nullif(product_impressions, 0)::double ctr,
  coalesce(sku_orders, 0) / nullif(product_clicks, 0)::double ctor,
  unique_cart_adders / nullif(unique_page_viewers, 0)::double add_to_cart_rate,
  null::bigint creator_new_videos, null::bigint creator_new_lives, null::bigint seller_new_videos,
  null::bigint seller_new_lives, null::decimal(18, 2) ad_spend, null::decimal(18, 2) ad_gross_revenue,
  null::double ad_roi
from grain g left join shops s on s.reason is null and s.dt = g.dt and s.shop_id = g.shop_id
  left join lines l on l.dt = g.dt and l.shop_id = g.shop_id
  left join traffic t on t.dt = g.dt and t.shop_id = g.shop_id;

create table channel_daily as
with lines as (
  select dt, shop_id, channel, count(*) sku_orders, sum(sub_total + shipping_fee) gmv from sold group by all),
traffic as (
  select dt, shop_id, channel, sum(impressions) product_impressions, sum(clicks) product_clicks from seen group by all)
select dt, shop_id, channel, coalesce(product_impressions, 0) product_impressions,
  coalesce(product_clicks, 0) product_clicks, coalesce(sku_orders, 0) sku_orders, coalesce(gmv, 0) gmv,
  coalesce(product_impressions, 0)
    / nullif(sum(coalesce(product_impressions, 0)) over (partition by dt, shop_id), 0)::double impression_share,
  product_clicks / nullif(product_impressions, 0)::double ctr,
  coalesce(sku_orders, 0) / nullif(product_clicks, 0)::double ctor
from lines full join traffic using (dt, shop_id, channel);

create table product_daily as
with lines as (
  select dt, shop_id, product_id, count(distinct order_id) orders, count(*) sku_orders, sum(quantity) items_sold,
    sum(sub_total + shipping_fee) gmv
  from sold group by all),
users as (
  select dt, shop_id, product_id, user_id, sum(impressions) impressions, sum(clicks) clicks, sum(page_views) page_views,
    sum(add_to_carts) add_to_carts
  from seen group by all),
traffic as (
  select dt, shop_id, product_id, sum(impressions) product_impressions, sum(clicks) product_clicks,
    sum(page_views) page_views, sum(add_to_carts) add_to_carts, count_if(page_views > 0) unique_page_viewers,
    count_if(page_views > 0 and add_to_carts > 0) unique_cart_adders
  from users group by all),
promoted as (select distinct dt, shop_id, product_id, true is_campaign_product from campaign_products
  where reason is null and in_scope)
select dt, shop_id, product_id, coalesce(is_campaign_product, false) is_campaign_product,
  coalesce(product_impressions, 0) product_impressions, coalesce(product_clicks, 0) product_clicks,
  coalesce(page_views, 0) page_views, coalesce(add_to_carts, 0) add_to_carts,
  coalesce(unique_page_viewers, 0) unique_page_viewers, coalesce(unique_cart_adders, 0) unique_cart_adders,
  unique_cart_adders / nullif(unique_page_viewers, 0)::double add_to_cart_rate,
  coalesce(orders, 0) orders, coalesce(sku_orders, 0) sku_orders, coalesce(items_sold, 0) items_sold, coalesce(gmv, 0) gmv,
  product_clicks / nullif(product_impressions, 0)::double ctr,
  coalesce(sku_orders, 0) / nullif(product_clicks, 0)::double ctor
from lines full join traffic using (dt, shop_id, product_id) left join promoted using (dt, shop_id, product_id);

create table sku_daily as
select dt, shop_id, product_id, sku_id, sum(quantity) items_sold, sum(sub_total + shipping_fee) gmv from sold group by all;

-- Section 3.2. The periods of all campaigns of a day D, from the daily rows of their days.
create table period as
select c.dt, c.campaign_id, c.first_day, count(d.dt) as days, c.dt - c.first_day + 1 - count(d.dt) missing_days
from campaigns c join (select distinct dt from order_lines) d on d.dt between c.first_day and c.dt
where c.reason is null and c.in_scope group by c.dt, c.campaign_id, c.first_day;

create table shop_period as
with registered as (select dt, campaign_id, shop_id, target_gmv from campaign_shops where reason is null and in_scope)
select p.dt, p.campaign_id, r.shop_id, p.first_day, p.dt through_day, p.days, p.missing_days, 0 content_days, 0 ad_days,
  arg_max(s.category, s.dt) filter (where s.category is not null) category, sum(gmv) gmv, sum(gmv_live) gmv_live,
  sum(gmv_video) gmv_video, sum(gmv_product_card) gmv_product_card, sum(orders) orders, sum(sku_orders) sku_orders,
  sum(items_sold) items_sold, sum(contribution_product) contribution_product,
  sum(contribution_shipping) contribution_shipping, sum(estimated_tiktok_contribution) estimated_tiktok_contribution,
  sum(product_impressions) product_impressions, sum(product_clicks) product_clicks, sum(page_views) page_views,
  sum(add_to_carts) add_to_carts, null::bigint creator_new_videos, null::bigint creator_new_lives,
  null::bigint seller_new_videos, null::bigint seller_new_lives, null::decimal(18, 2) ad_spend,
  null::decimal(18, 2) ad_gross_revenue, sum(gmv)::double / nullif(sum(orders), 0)::double avg_order_value,
  sum(product_clicks) / nullif(sum(product_impressions), 0)::double ctr,
  sum(sku_orders) / nullif(sum(product_clicks), 0)::double ctor, null::double ad_roi,
  sum(unique_cart_adders) / nullif(sum(unique_page_viewers), 0)::double add_to_cart_rate,
  any_value(r.target_gmv) target_gmv, sum(gmv)::double / nullif(any_value(r.target_gmv), 0)::double target_progress
from period p join registered r on r.dt = p.dt and r.campaign_id = p.campaign_id
  join shop_daily s on s.shop_id = r.shop_id and s.dt between p.first_day and p.dt
group by p.dt, p.campaign_id, r.shop_id, p.first_day, p.days, p.missing_days;
