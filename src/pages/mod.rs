//! `report`: pages that stand alone, one file each, without scripts of others and without network.
//!
//! A page is data (`page`) until one template writes it. Its numbers are those of the published tables.
//!
//! | file | holds |
//! | --- | --- |
//! | `page` | a page: sections of cards, tables and figures |
//! | `shop/` | the Campaign Dashboard of a shop |
//! | `rows` | the published rows of one shop and day |
//! | `shown` | values of tables as they are printed: money, counts, shares, null |
//! | `chart` | figures as SVG |
//! | `templates/` | the page as HTML, its style and its script |

mod chart;
mod page;
mod rows;
mod shop;
mod shown;

pub(crate) use shop::dashboard;
