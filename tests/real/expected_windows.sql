-- Tables over several days, continued from expected.sql. The large ones only for the days in `chosen_days`.

create table funnel_period as
select p.dt, p.campaign_id, s.shop_id, p.dt through_day, p.days as days,
  sum(unique_reach) / p.days::double avg_unique_reach, sum(unique_clicks) / p.days::double avg_unique_clicks,
  sum(customers) / p.days::double avg_daily_customers,
  sum(unique_clicks) / nullif(sum(unique_reach), 0)::double click_rate,
  sum(customers) / nullif(sum(unique_clicks), 0)::double customer_rate
from period p join shop_period q on q.dt = p.dt and q.campaign_id = p.campaign_id
  join shop_daily s on s.shop_id = q.shop_id and s.dt between p.first_day and p.dt
group by p.dt, p.campaign_id, s.shop_id, p.days;

create table channel_period as
select p.dt, p.campaign_id, s.shop_id, s.channel, p.dt through_day, p.days as days,
  sum(s.product_impressions) product_impressions, sum(s.product_clicks) product_clicks, sum(s.sku_orders) sku_orders,
  sum(s.gmv) gmv, sum(s.product_impressions) / nullif(any_value(q.product_impressions), 0)::double impression_share,
  sum(s.product_clicks) / nullif(sum(s.product_impressions), 0)::double ctr,
  sum(s.sku_orders) / nullif(sum(s.product_clicks), 0)::double ctor
from period p join shop_period q on q.dt = p.dt and q.campaign_id = p.campaign_id
  join channel_daily s on s.shop_id = q.shop_id and s.dt between p.first_day and p.dt
group by p.dt, p.campaign_id, s.shop_id, s.channel, p.days;

create table product_period as
with promoted as (select dt, campaign_id, shop_id, product_id from campaign_products where reason is null and in_scope)
select p.dt, p.campaign_id, s.shop_id, s.product_id, p.dt through_day, p.days as days,
  count(c.product_id) > 0 is_campaign_product, sum(s.product_impressions) product_impressions,
  sum(s.product_clicks) product_clicks, sum(s.page_views) page_views, sum(s.add_to_carts) add_to_carts,
  sum(s.unique_cart_adders) / nullif(sum(s.unique_page_viewers), 0)::double add_to_cart_rate, sum(s.orders) orders,
  sum(s.sku_orders) sku_orders, sum(s.items_sold) items_sold, sum(s.gmv) gmv,
  sum(s.product_clicks) / nullif(sum(s.product_impressions), 0)::double ctr,
  sum(s.sku_orders) / nullif(sum(s.product_clicks), 0)::double ctor
from period p join chosen_days using (dt) join shop_period q on q.dt = p.dt and q.campaign_id = p.campaign_id
  join product_daily s on s.shop_id = q.shop_id and s.dt between p.first_day and p.dt
  left join promoted c on c.dt = p.dt and c.campaign_id = p.campaign_id and c.shop_id = s.shop_id
    and c.product_id = s.product_id
group by p.dt, p.campaign_id, s.shop_id, s.product_id, p.days;

create table gmv_baseline as
select d.dt, d.shop_id, b.dt baseline_day, b.gmv baseline_gmv, d.gmv gmv, d.gmv - b.gmv difference,
  (d.gmv - b.gmv)::double / nullif(b.gmv, 0)::double * 100 difference_pct
from shop_daily d join chosen_days using (dt)
  join shop_daily b on b.shop_id = d.shop_id and b.dt < d.dt and b.dt >= cast(d.dt - interval 6 month as date)
where exists (select 1 from campaign_shops c where c.reason is null and c.in_scope and c.dt = d.dt and c.shop_id = d.shop_id);

-- The tiers are those of job.toml.
create table shop_tier as
with observed as (
  select a.dt, count(b.dt) observed_days from (select distinct dt from order_lines) a
    join (select distinct dt from order_lines) b on b.dt between a.dt - 29 and a.dt group by a.dt),
summed as (
  select dt, shop_id, category, sum(gmv) over (
    partition by shop_id order by dt range between interval 29 day preceding and current row) trailing_gmv
  from shop_daily)
select t.dt, shop_id, category, trailing_gmv, observed_days, case
  when trailing_gmv >= 2500 then 'T5' when trailing_gmv >= 500 then 'T4' when trailing_gmv >= 100 then 'T3'
  when trailing_gmv >= 20 then 'T2' else 'T1' end tier
from summed t join observed using (dt);
