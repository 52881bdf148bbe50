//! `report`: pages that stand alone, one file each, without scripts of others and without network.
//!
//! A page is data (`page`) until one template writes it. Its numbers are those of the published tables.
//!
//! | file | holds |
//! | --- | --- |
//! | `page` | a page: sections of cards, tables and figures |
//! | `shop/` | the Campaign Dashboard of a shop |
//! | `summary/` | the operator's page of a day |
//! | `folder` | the dashboards of all campaign shops, and their index |
//! | `rows` | the published rows of one shop and day |
//! | `shown` | values of tables as they are printed: money, counts, shares, null |
//! | `chart` | figures as SVG |
//! | `commands` | command lines to paste |
//! | `templates/` | the page as HTML, its style and its script |

mod chart;
mod commands;
mod folder;
mod page;
mod rows;
mod shop;
mod shown;
mod summary;

pub(crate) use commands::quoted;
pub(crate) use folder::folder;
pub(crate) use page::Page;
pub(crate) use shop::dashboard;
pub(crate) use summary::{Night, summary};
