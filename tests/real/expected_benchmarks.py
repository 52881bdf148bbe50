"""Section 5 of SPEC.md as plain loops: both benchmark tables of a day, from the tables of expected*.sql."""
import math
from collections import defaultdict

MIN_PEERS = 10
MONEY_METRICS = {"gmv", "estimated_tiktok_contribution", "ad_spend", "ad_gross_revenue"}
METRICS = """gmv orders sku_orders items_sold customers avg_order_value product_impressions product_clicks ctr ctor
    add_to_cart_rate estimated_tiktok_contribution unique_reach unique_clicks ad_spend ad_gross_revenue ad_roi
    creator_new_videos creator_new_lives seller_new_videos seller_new_lives""".split()


def benchmarks(con, day):
    """Rows of category_benchmark and of shop_benchmark for a final day."""
    tiers = {s: t for s, t in con.execute("select shop_id, tier from shop_tier where dt = ?", [day]).fetchall()}
    observed = con.execute("select any_value(observed_days) from shop_tier where dt = ?", [day]).fetchone()[0]
    daily = con.execute("select 0 campaign_id, * from shop_daily where dt = ?", [day])
    cohorts, shops = [], []
    for scope, rows in [("DAILY", dicts(daily)), ("CAMPAIGN_PERIOD", dicts(period(con, day)))]:
        groups = defaultdict(list)
        for row in rows:
            if row["category"] is not None and row["shop_id"] in tiers and (row["product_impressions"] or row["orders"]):
                groups[row["campaign_id"], row["category"]].append({**row, "tier": tiers[row["shop_id"]]})
        for (campaign, category), peers in groups.items():
            for metric in METRICS:
                published = {}
                for tier in sorted({p["tier"] for p in peers}, reverse=True):
                    cohort = judged(peers, tier, metric, published)
                    cohorts.append((scope, campaign, category, tier, metric, day, False, None, observed, *cohort, "mean-v1"))
                shops += [(scope, campaign, *shop_row(p, metric, day, published)) for p in peers]
    return cohorts, shops


def period(con, day):
    """Customers, reach and clicks of a period are the funnel's averages."""
    return con.execute("""select p.*, f.avg_daily_customers customers, f.avg_unique_reach unique_reach,
        f.avg_unique_clicks unique_clicks
        from shop_period p join funnel_period f using (dt, campaign_id, shop_id) where dt = ?""", [day])


def judged(peers, tier, metric, published):
    """peer_count, mean, p25, p50, p75, is_suppressed, suppression_reason; adds to `published` (tier -> shops, mean)."""
    values = {p["shop_id"]: p[metric] for p in peers if p["tier"] >= tier and p[metric] is not None}
    higher = next(iter(sorted(published)), None)
    between = len(set(values) ^ published[higher][0]) if higher else 0
    total = sum(values.values())
    if len(values) < MIN_PEERS:
        reason = "TOO_FEW_PEERS"
    elif 0 < between < MIN_PEERS:
        reason = "DIFFERENCING"
    elif metric in MONEY_METRICS and total > 0 and 2 * max(values.values()) > total:
        reason = "DOMINANT_PEER"
    else:
        ordered = sorted(float(v) for v in values.values())
        mean = float(total) / len(values) if metric in MONEY_METRICS else math.fsum(ordered) / len(ordered)
        published[tier] = (set(values), mean)
        return (len(values), mean, *(quantile(ordered, p) for p in (0.25, 0.5, 0.75)), False, None)
    return (None, None, None, None, None, True, reason)


def quantile(ordered, p):
    at = (len(ordered) - 1) * p
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def shop_row(peer, metric, day, published):
    value = None if peer[metric] is None else float(peer[metric])
    tier = next((t for t in sorted(published) if t >= peer["tier"]), None)
    mean = published[tier][1] if tier else None
    difference = None if value is None or not mean else (value - mean) / mean * 100
    return (peer["shop_id"], metric, peer["category"], peer["tier"], day, False, value, tier, mean, difference)


def dicts(cursor):
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]
