"""Section 5 of SPEC.md as plain loops: the benchmark tables of a day, from the tables of expected*.sql."""
import math
from collections import defaultdict
from itertools import permutations

MIN_PEERS = 10
MONEY_METRICS = {"gmv", "estimated_tiktok_contribution", "ad_spend", "ad_gross_revenue"}
RATIOS = {"avg_order_value", "ctr", "ctor", "add_to_cart_rate", "ad_roi"}
# Their values in a campaign are sums of daily counts divided by its days: averages, compared as sums.
AVERAGES = {"customers", "unique_reach", "unique_clicks"}
METRICS = """gmv orders sku_orders items_sold customers avg_order_value product_impressions product_clicks ctr ctor
    add_to_cart_rate estimated_tiktok_contribution unique_reach unique_clicks ad_spend ad_gross_revenue ad_roi
    creator_new_videos creator_new_lives seller_new_videos seller_new_lives""".split()


def benchmarks(con, day):
    """Rows of category_benchmark, of shop_benchmark and of gmv_gap for a final day."""
    tiers = {s: t for s, t in con.execute("select shop_id, tier from shop_tier where dt = ?", [day]).fetchall()}
    observed = con.execute("select any_value(observed_days) from shop_tier where dt = ?", [day]).fetchone()[0]
    daily = con.execute("select 0 campaign_id, 1 averaged_days, * from shop_daily where dt = ?", [day])
    cohorts, shops, gaps = [], [], []
    of_the_day = {}
    for scope, rows in [("DAILY", dicts(daily)), ("CAMPAIGN_PERIOD", dicts(period(con, day)))]:
        groups = defaultdict(list)
        for row in rows:
            if row["category"] is not None and row["shop_id"] in tiers and (row["product_impressions"] or row["orders"]):
                groups[row["campaign_id"], row["category"]].append({**row, "tier": tiers[row["shop_id"]]})
        for (campaign, category), peers in groups.items():
            published = {metric: {} for metric in METRICS}
            for metric in METRICS:
                beside = [] if metric in RATIOS else of_the_day.get((category, metric), [])
                for tier in sorted({p["tier"] for p in peers}, reverse=True):
                    cohort = judged(peers, tier, metric, published[metric], beside)
                    cohorts.append((scope, campaign, category, tier, metric, day, False, None, observed, *cohort, "mean-v2"))
                shops += [(scope, campaign, *shop_row(p, metric, day, published[metric])) for p in peers]
                if scope == "DAILY":
                    of_the_day[category, metric] = [cohort["shops"] for cohort in published[metric].values()]
            gaps += [(scope, campaign, *row) for p in peers if (row := gap_row(p, day, published))]
    return cohorts, shops, gaps


def period(con, day):
    """Customers, reach and clicks of a period are the funnel's averages."""
    return con.execute("""select p.*, f.days averaged_days, f.avg_daily_customers customers, f.avg_unique_reach unique_reach,
        f.avg_unique_clicks unique_clicks
        from shop_period p join funnel_period f using (dt, campaign_id, shop_id) where dt = ?""", [day])


def judged(peers, tier, metric, published, beside):
    """peer_count, mean, p25, p50, p75, is_suppressed, suppression_reason; adds to `published`, by tier. `beside` are the shops of
    published cohorts of the day."""
    values = {p["shop_id"]: p[metric] for p in peers if p["tier"] >= tier and p[metric] is not None}
    sums = {p["shop_id"]: round(p[metric] * p["averaged_days"]) if metric in AVERAGES else p[metric]
            for p in peers if p["shop_id"] in values}
    between = [len(set(values) ^ shops) for shops in [cohort["shops"] for cohort in published.values()] + beside]
    if len(values) < MIN_PEERS:
        reason = "TOO_FEW_PEERS"
    elif any(0 < shops < MIN_PEERS for shops in between):
        reason = "DIFFERENCING"
    elif metric not in RATIOS and sum(sums.values()) > 0 and 2 * max(sums.values()) > sum(sums.values()):
        reason = "DOMINANT_PEER"
    else:
        ordered = sorted(float(v) for v in values.values())
        mean = float(sum(values.values())) / len(values) if metric in MONEY_METRICS else math.fsum(ordered) / len(ordered)
        quartiles = tuple(quartile(ordered, quarters) for quarters in (1, 2, 3))
        published[tier] = {"shops": set(values), "mean": mean, "quartiles": quartiles}
        return (len(values), mean, *quartiles, False, None)
    return (None, None, None, None, None, True, reason)


def quartile(ordered, quarters):
    """Smoothed: the mean of the values from floor(h) - 1 to ceil(h) + 1, h = (n - 1) * quarters / 4."""
    four_h = (len(ordered) - 1) * quarters
    around = ordered[max(four_h // 4 - 1, 0):-(-four_h // 4) + 2]
    return math.fsum(around) / len(around)


def nearest(peer, published):
    return next((t for t in sorted(published) if t >= peer["tier"]), None)


def shop_row(peer, metric, day, published):
    value = None if peer[metric] is None else float(peer[metric])
    tier = nearest(peer, published)
    cohort = published.get(tier)
    mean = cohort and cohort["mean"]
    difference = None if value is None or not mean else (value - mean) / mean * 100
    position = None
    if value is not None and cohort:
        position = ["BELOW_P25", "P25_TO_P50", "P50_TO_P75", "ABOVE_P75"][sum(at_least(value, q) for q in cohort["quartiles"])]
    return (peer["shop_id"], metric, peer["category"], peer["tier"], day, False, value, tier, mean, difference, position)


def at_least(value, quartile):
    """Equal counts as above; a mean of equal doubles may differ from them in its last bit."""
    return value >= quartile or math.isclose(value, quartile, rel_tol=1e-15)


def gap_row(peer, day, published):
    tier = nearest(peer, published["gmv"])
    if tier is None:
        return None
    gmv, benchmark = float(peer["gmv"]), published["gmv"][tier]["mean"]
    own = factors({metric: peer[metric] for metric in CHAIN})
    means = factors({metric: published[metric].get(tier, {}).get("mean") for metric in CHAIN})
    effects = shapley(own, means) if own and means and benchmark else [None] * 4
    return (peer["shop_id"], peer["category"], peer["tier"], day, False, tier, gmv, benchmark, gmv - benchmark, *effects)


CHAIN = ["product_impressions", "product_clicks", "sku_orders", "gmv"]


def factors(values):
    """Impressions, clicks per impression, SKU orders per click, gmv per SKU order; None where one is unknown."""
    impressions, clicks, sku_orders, gmv = (None if values[m] is None else float(values[m]) for m in CHAIN)
    if not impressions or not clicks or not sku_orders or gmv is None:
        return None
    return [impressions, clicks / impressions, sku_orders / clicks, gmv / sku_orders]


def shapley(own, means):
    """Each factor's effect, averaged over all orders in which the four are exchanged."""
    effects = [0.0] * 4
    orders = list(permutations(range(4)))
    for order in orders:
        now = list(means)
        for factor in order:
            before = math.prod(now)
            now[factor] = own[factor]
            effects[factor] += (math.prod(now) - before) / len(orders)
    return effects


def dicts(cursor):
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]
