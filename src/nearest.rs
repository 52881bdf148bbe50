//! The nearest name to a mistyped one.

/// The greatest share of letters that may differ.
const LEAST_SIMILARITY: f64 = 0.6;

/// The name that differs least from what was typed; `None`: no name is like it.
pub(crate) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let scored = names.map(|name| (strsim::normalized_damerau_levenshtein(&typed, name), name));
    let like = scored.filter(|(similarity, _)| *similarity >= LEAST_SIMILARITY);
    // The first of equally near names.
    let nearest = like.reduce(|best, next| if next.0 > best.0 { next } else { best });
    nearest.map(|(_, name)| name)
}

/// What may be written in place of a mistyped word: the nearest one, or all.
pub(crate) fn choices(typed: &str, names: &[&str]) -> String {
    match nearest(typed, names.iter().copied()) {
        Some(nearest) => format!("the nearest is {nearest:?}"),
        None => format!("there are {}", names.join(", ")),
    }
}

/// The name that differs in at most this many letters; `None`: no name is so near.
pub(crate) fn nearly<'a>(
    typed: &str,
    names: impl Iterator<Item = &'a str>,
    most: usize,
) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let scored = names.map(|name| (strsim::damerau_levenshtein(&typed, name), name));
    let near = scored.filter(|(distance, _)| *distance <= most);
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_few_other_letters_is_found_and_a_foreign_one_is_not() {
        let names = ["shop_daily", "sku_daily", "stock_status"];
        let nearest = |typed| nearest(typed, names.into_iter());
        assert_eq!(nearest("shop_dayly"), Some("shop_daily"));
        assert_eq!(nearest("SHOP_DAILY"), Some("shop_daily"));
        assert_eq!(nearest("skudaily"), Some("sku_daily"));
        assert_eq!(nearest("orders"), None);
    }
}
