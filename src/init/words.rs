//! How like each other two names are: their words, synonyms among them, and a score.

/// Similarity from which a word counts as a misspelt other one.
const LEAST_SIMILARITY: f64 = 0.8;
/// Shorter words differ by a letter too easily.
const LEAST_LETTERS: usize = 5;
/// How much a misspelt word counts.
const MISSPELT: f64 = 0.7;
/// From this on, two words mean the same.
const SAME: f64 = 0.95;
/// How much a word counts that says little about which column it is.
const LITTLE: f64 = 0.4;

/// Words that many columns have.
const GENERAL: &[&str] = &[
    "id", "when", "name", "is", "has", "sub", "of", "the", "traffic",
];

/// Words that say something about the form of the values, and nothing about which column it is.
const OF_FORM: &[&str] = &[
    "minor", "cent", "cents", "mill", "mills", "micro", "micros", "local", "utc", "usd", "str",
    "tz",
];

/// Several words that are written as one.
const COMPOUNDS: &[(&str, &[&str])] = &[
    ("subtotal", &["sub", "total"]),
    ("uid", &["user", "id"]),
    ("pid", &["product", "id"]),
    ("cid", &["content", "id"]),
    ("pv", &["page", "view"]),
    ("pageview", &["page", "view"]),
    ("atc", &["add", "to", "cart"]),
    ("addtocart", &["add", "to", "cart"]),
    ("subcampaign", &["sub", "campaign"]),
    ("advertiser", &["ad", "account"]),
    ("livestream", &["live"]),
    ("username", &["handle"]),
    ("nickname", &["handle"]),
];

/// Words with one meaning: the word that stands for them, how much they count, and the words.
const SYNONYMS: &[(&str, f64, &[&str])] = &[
    (
        "shop",
        0.95,
        &["seller", "merchant", "store", "vendor", "retailer"],
    ),
    (
        "user",
        0.95,
        &[
            "buyer", "customer", "visitor", "viewer", "member", "client", "shopper",
        ],
    ),
    (
        "product",
        0.95,
        &["item", "goods", "spu", "listing", "prod"],
    ),
    ("sku", 0.95, &["variant", "variation"]),
    ("order", 0.9, &["purchase", "transaction", "txn"]),
    (
        "id",
        0.95,
        &["identifier", "sn", "no", "number", "key", "code"],
    ),
    (
        "when",
        0.95,
        &[
            "at",
            "time",
            "timestamp",
            "ts",
            "datetime",
            "date",
            "day",
            "dt",
        ],
    ),
    ("paid", 0.95, &["payment", "pay", "paying"]),
    (
        "paid",
        0.6,
        &["created", "create", "placed", "ordered", "completed"],
    ),
    (
        "quantity",
        0.95,
        &["qty", "unit", "piece", "pc", "count", "num"],
    ),
    (
        "total",
        0.95,
        &["amount", "amt", "price", "sum", "value", "gross"],
    ),
    ("total", 0.8, &["gmv", "revenue"]),
    (
        "discount",
        0.9,
        &[
            "coupon",
            "rebate",
            "voucher",
            "subsidy",
            "promo",
            "promotion",
        ],
    ),
    ("platform", 0.9, &["marketplace"]),
    (
        "shipping",
        0.9,
        &["delivery", "freight", "logistic", "postage", "ship"],
    ),
    ("fee", 0.9, &["charge"]),
    ("channel", 0.9, &["source", "src", "origin", "placement"]),
    ("content", 0.9, &["creative", "post", "media"]),
    ("type", 0.9, &["kind", "format"]),
    (
        "creator",
        0.9,
        &["author", "influencer", "affiliate", "kol", "host"],
    ),
    (
        "published",
        0.9,
        &[
            "post", "posted", "publish", "release", "released", "created",
        ],
    ),
    ("view", 0.9, &["play", "vv", "watch"]),
    (
        "impression",
        0.95,
        &["impr", "imp", "exposure", "shown", "show"],
    ),
    ("click", 0.95, &["clk", "tap"]),
    ("cart", 0.9, &["basket", "bag"]),
    ("add", 0.9, &["added"]),
    ("spend", 0.9, &["cost", "expense", "spent"]),
    ("revenue", 0.9, &["sale", "turnover", "income", "gmv"]),
    ("available", 0.9, &["stock", "onhand", "inventory", "left"]),
    ("category", 0.95, &["cat", "vertical", "industry"]),
    ("campaign", 0.9, &["activity", "event"]),
    ("shop", 0.9, &["participant"]),
    ("first", 0.95, &["start", "begin", "from", "starting"]),
    ("last", 0.95, &["end", "finish", "until", "ending"]),
    ("target", 0.95, &["goal"]),
    ("violation", 0.9, &["infringement", "penalty"]),
    ("account", 0.95, &["acct"]),
    ("primary", 0.9, &["main", "default"]),
    (
        "traffic",
        0.9,
        &["visit", "funnel", "behaviour", "behavior"],
    ),
    ("line", 0.9, &["detail", "item"]),
];

/// The name of a column or folder.
#[derive(Clone, Debug)]
pub(super) struct Name {
    /// Its letters and digits, in small letters.
    plain: String,
    words: Vec<String>,
    /// The words of the form of the values.
    form: Vec<String>,
}

impl Name {
    pub(super) fn new(text: &str) -> Name {
        let all = words(text);
        let (form, mut words): (Vec<String>, Vec<String>) = all
            .into_iter()
            .partition(|word| OF_FORM.contains(&word.as_str()));
        if words.is_empty() {
            words.clone_from(&form);
        }
        let is_plain = |c: &char| c.is_alphanumeric();
        Name {
            plain: text
                .chars()
                .filter(is_plain)
                .collect::<String>()
                .to_lowercase(),
            words,
            form,
        }
    }

    /// Whether they are one name in two notations, such as `shopId` and `SHOP_ID`.
    pub(super) fn is_same(&self, other: &Name) -> bool {
        self.plain == other.plain
    }

    /// Whether the name says that its values are of this form.
    pub(super) fn says(&self, form: &[&str]) -> bool {
        self.form.iter().any(|word| form.contains(&word.as_str()))
    }

    /// From 0 to 1: the share of the words that both have. `context`: the name of the dataset, whose words say
    /// little about which of its columns it is.
    pub(super) fn likeness(&self, other: &Name, context: &Name) -> f64 {
        if self.is_same(other) {
            return 1.0;
        }
        let weight = |word: &str| {
            let is_general = GENERAL.contains(&word)
                || context.words.iter().any(|of| same(of, word) > 0.0)
                || same("when", word) > 0.0
                || same("id", word) > 0.0;
            if is_general { LITTLE } else { 1.0 }
        };
        let (mut common, mut all) = (0.0, 0.0);
        let mut rest: Vec<&String> = other.words.iter().collect();
        for word in &self.words {
            all += weight(word);
            let scored = rest
                .iter()
                .enumerate()
                .map(|(position, other)| (same(word, other), position));
            let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
            if let Some((score, position)) = best.filter(|(score, _)| *score > 0.0) {
                common += weight(word) * score;
                rest.remove(position);
            }
        }
        all += rest.iter().map(|word| weight(word)).sum::<f64>();
        if all == 0.0 { 0.0 } else { common / all }
    }
}

/// How alike two words are in meaning, from 0 to 1.
fn same(a: &str, b: &str) -> f64 {
    if a == b {
        return 1.0;
    }
    let synonym = SYNONYMS.iter().filter_map(|(meaning, strength, words)| {
        let has = |word: &str| word == *meaning || words.contains(&word);
        (has(a) && has(b)).then_some(*strength)
    });
    if let Some(strength) = synonym.max_by(f64::total_cmp) {
        return strength;
    }
    let is_long = a.len().min(b.len()) >= LEAST_LETTERS;
    let is_misspelt = is_long && strsim::normalized_damerau_levenshtein(a, b) >= LEAST_SIMILARITY;
    if is_misspelt { MISSPELT } else { 0.0 }
}

/// The words of a name in camelCase, snake_case and the like: in small letters, singular, each once.
fn words(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in split(text) {
        let word = singular(&word);
        let compound = COMPOUNDS.iter().find(|(written, _)| *written == word);
        match compound {
            Some((_, parts)) => found.extend(parts.iter().map(|part| (*part).to_owned())),
            None => found.push(word),
        }
    }
    // buyerUid has one user.
    let mut once: Vec<String> = Vec::new();
    for word in found {
        if !once.iter().any(|known| same(known, &word) >= SAME) {
            once.push(word);
        }
    }
    once
}

fn split(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let letters: Vec<char> = text.chars().collect();
    for (position, letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let before = position.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(position + 1);
        // orderId, and SKUId.
        let begins = letter.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase() || before.is_numeric())
                || before.is_some_and(char::is_uppercase)
                    && after.is_some_and(|after| after.is_lowercase()));
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn singular(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) if stem.len() > 2 => return format!("{stem}y"),
        _ => {}
    }
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 1 && word != "has" && !stem.ends_with(['s', 'u', 'i']) => {
            stem.to_owned()
        }
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_same_words_in_every_notation() {
        for name in ["shopId", "SHOP_ID", "shop-id", "ShopID", "shop id_"] {
            assert_eq!(words(name), ["shop", "id"], "{name}");
        }
        assert_eq!(words("SKUIds"), ["sku", "id"]);
        assert_eq!(words("buyerUid"), ["buyer", "id"]);
        assert_eq!(words("categories"), ["category"]);
    }

    fn likeness(contract: &str, found: &str, dataset: &str) -> f64 {
        Name::new(contract).likeness(&Name::new(found), &Name::new(dataset))
    }

    #[test]
    fn other_notations_of_a_name_are_the_same_name() {
        for found in ["paid_at", "paidAt", "PAID_AT", "paid_at_"] {
            assert_eq!(likeness("paid_at", found, "order_lines"), 1.0, "{found}");
        }
    }

    /// The order counts, not the numbers.
    #[test]
    fn the_likest_name_is_the_one_that_a_person_would_choose() {
        let columns = [
            ("shop_id", "sellerId"),
            ("buyer_id", "customer_no"),
            ("paid_at", "payment_time"),
            ("sub_total", "amount_minor"),
            ("shipping_fee", "deliveryFee"),
            ("platform_discount", "marketplaceCoupon"),
            ("shipping_platform_discount", "shipping_subsidy_platform"),
            ("quantity", "qty"),
            ("channel", "traffic_src"),
            ("product_id", "item_id"),
        ];
        for (contract, found) in columns {
            let of = |name: &str| likeness(name, found, "order_lines");
            let likest = columns
                .iter()
                .map(|(name, _)| *name)
                .max_by(|a, b| of(a).total_cmp(&of(b)));
            assert_eq!(likest, Some(contract), "{found}");
            assert!(of(contract) >= 0.5, "{found}: {}", of(contract));
        }
    }

    #[test]
    fn a_short_name_means_the_dataset_itself() {
        assert!(likeness("shop_id", "id", "shops") >= 0.5);
        assert!(likeness("shop_id", "id", "order_lines") < 0.5);
        assert!(likeness("campaign_id", "shop_id", "campaign_shops") < 0.5);
    }

    #[test]
    fn names_without_a_common_word_are_not_alike() {
        assert_eq!(likeness("impressions", "weather", "product_traffic"), 0.0);
        assert_eq!(likeness("impressions", "", "product_traffic"), 0.0);
    }

    #[test]
    fn a_name_says_that_its_amounts_are_minor_units() {
        assert!(Name::new("amount_minor").says(&["minor"]));
        assert!(!Name::new("amount").says(&["minor"]));
        assert_eq!(likeness("sub_total", "sub_total_cents", "order_lines"), 1.0);
    }
}
