//! `describe`: the dictionary of tables, exports and columns, word for word for people.

use campaign_etl::exit_code::ExitCode;
use serde_json::{Value, json};

use crate::world::etl;

fn text(name: &str) -> String {
    let ended = etl(&["describe", name]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    ended.stdout
}

fn document(arguments: &[&str]) -> Value {
    let ended = etl(&[&["describe", "--format", "json"], arguments].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn a_table_for_people() {
    insta::assert_snapshot!(text("shop_tier"), @r"
    shop_tier: window, shop_tier/dt=YYYY-MM-DD/part-0.parquet
    grain: each shop of shop_daily at D
    key: shop_id
    reads: shop_daily (30 days to D)
    read by: category_benchmark, shop_benchmark, gmv_gap
    ┌───────────────┬───────────────┬───────┬─────────────────────────────┬────────────────────────────┐
    │ column        ┆ type          ┆ unit  ┆ formula                     ┆ null means                 │
    ╞═══════════════╪═══════════════╪═══════╪═════════════════════════════╪════════════════════════════╡
    │ shop_id *     ┆ INT64         ┆       ┆                             ┆ never null                 │
    │ category      ┆ STRING        ┆       ┆ of shops                    ┆ the shop has no category,  │
    │               ┆               ┆       ┆                             ┆ or is not in shops         │
    │ trailing_gmv  ┆ DECIMAL(18,2) ┆ money ┆ sum of gmv over [D-29, D]   ┆ never null                 │
    │ observed_days ┆ INT64         ┆ days  ┆ published days in [D-29, D] ┆ never null                 │
    │ tier          ┆ STRING        ┆       ┆ the highest configured tier ┆ never null                 │
    │               ┆               ┆       ┆ whose min_gmv <=            ┆                            │
    │               ┆               ┆       ┆ trailing_gmv                ┆                            │
    └───────────────┴───────────────┴───────┴─────────────────────────────┴────────────────────────────┘
    * part of the key
    ");
}

#[test]
fn a_column_for_people() {
    insta::assert_snapshot!(text("shop_period.add_to_cart_rate"), @r"
    shop_period.add_to_cart_rate: DOUBLE
    unit: fraction (0.25 is 25 %)
    formula: sum of daily unique_cart_adders / sum of daily unique_page_viewers
    null means: no page viewers
    field id: 34
    comes from:
      shop_period.add_to_cart_rate <- shop_daily.unique_cart_adders, shop_daily.unique_page_viewers
      shop_daily.unique_cart_adders <- product_traffic.user_id, product_traffic.page_views, product_traffic.add_to_carts
      shop_daily.unique_page_viewers <- product_traffic.user_id, product_traffic.page_views
    columns of exports behind it: product_traffic.add_to_carts, product_traffic.page_views, product_traffic.user_id
    used by:
      category_benchmark: peer_count, mean, p25, p50, p75, suppression_reason
      shop_benchmark: value
    further columns that change with it:
      category_benchmark: is_suppressed
      shop_benchmark: benchmark_tier, benchmark, difference_pct, position
      gmv_gap: benchmark_tier, benchmark_gmv, gap, from_impressions, from_ctr, from_ctor, from_gmv_per_sku_order
    ");
}

#[test]
fn an_export_names_its_rules_and_readers() {
    let described = document(&["campaigns"]);
    assert_eq!(described["kind"], "export");
    assert_eq!(described["is_required"], true);
    assert_eq!(
        described["row_rules"],
        json!([{ "reason": "BAD_RANGE", "breaks": "last_day < first_day" }])
    );
    let readers = described["read_by"].as_array().unwrap();
    assert!(readers.contains(&json!("shop_period")) && !readers.contains(&json!("shop_tier")));
}

#[test]
fn the_list_has_every_table_with_its_grain_and_key() {
    let all = document(&[]);
    let tables = all["tables"].as_array().unwrap();
    let stock = tables.iter().find(|table| table["name"] == "stock_status");
    let expected = json!({
        "name": "stock_status",
        "kind": "window",
        "path": "stock_status/dt=YYYY-MM-DD/part-0.parquet",
        "grain": "each SKU of inventory",
        "key": ["shop_id", "product_id", "sku_id"],
    });
    assert_eq!(stock, Some(&expected));
}

#[test]
fn an_unknown_name_is_a_wrong_command_with_a_hint_and_a_document() {
    let ended = etl(&["describe", "shop_dayly", "--format", "json"]);
    assert_eq!(ended.code, i32::from(ExitCode::ConfigWrong as u8));
    let what = "there is no table or export \"shop_dayly\"";
    let next = "did you mean shop_daily? `campaign-etl describe` lists all";
    assert!(ended.stderr.starts_with(&format!("error: {what}\n  why: ")));
    assert!(ended.stderr.ends_with(&format!("\n  next: {next}\n")));
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let expected = json!({
        "error": format!("{what}; {next}"),
        "what": what,
        "why": "`describe` is asked about a name that no table and no export has.",
        "tonight": "the results as they are; this command does not change them",
        "next": next,
        "exit_code": 78,
        "retry": false,
    });
    assert_eq!(document, expected);
}
