//! `explain`: arguments and answer of the command; the answer is found in `explain/`.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::answer::{Answer, to_json};
use super::surroundings::{Surroundings, open_job};
use crate::catalog::history::History;
use crate::cli::{Cli, ExplainArgs, Format};
use crate::exit_code::ExitCode;
use crate::explain::{self, Question, Receipt, Thoroughness};
use crate::messages;

pub(super) fn explain(
    cli: &Cli,
    args: &ExplainArgs,
    surroundings: &Surroundings,
) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let facts = job.facts()?;
    let history = History::load(&facts.state)?;
    let resources = &job.resources;
    if let Some(path) = &args.verify {
        let receipt = read_receipt(path)?;
        let found = explain::verify(&facts, &history, resources, &receipt)?;
        let page = explain::verification_page(&found);
        return answer(cli, &found, page, found.outcome.exit_code());
    }
    let question = question(args).context("--shop and --day are required without --verify")?;
    if args.sql {
        let found = explain::sql(&facts, &history, &question)?;
        return answer(cli, &found, found.sql.clone(), ExitCode::Published);
    }
    let thoroughness = Thoroughness {
        is_deep: args.deep,
        rows_shown: args.rows,
    };
    if question.metric.is_none() {
        let found = explain::compare_day(&facts, &history, resources, &question, thoroughness)?;
        let code = found.recomputed.outcome.exit_code();
        return answer(cli, &found, explain::day_page(&found), code);
    }
    let found = explain::explain(&facts, &history, resources, &question, thoroughness)?;
    let code = found.recomputed.route.outcome.exit_code();
    answer(cli, &found, explain::page(&found), code)
}

fn answer(cli: &Cli, found: &impl Serialize, page: String, exit_code: ExitCode) -> Result<Answer> {
    let stdout = match cli.global.format {
        Format::Json => to_json(found, exit_code)?,
        Format::Text => page,
    };
    Ok(Answer { stdout, exit_code })
}

fn read_receipt(path: &Path) -> Result<Receipt> {
    let read = match path.to_str() {
        Some("-") => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map(|_| text)
        }
        _ => std::fs::read_to_string(path),
    };
    let shown = path.display().to_string();
    let text = read.map_err(|why| messages::no_receipt(&shown, why))?;
    Receipt::parse(&shown, &text)
}

/// The question of the command line; `None`: it names no shop or no day.
fn question(args: &ExplainArgs) -> Option<Question> {
    let text = |id: Option<i64>| id.map(|id| id.to_string());
    let others = [
        ("scope", args.scope.clone()),
        ("campaign_id", text(args.campaign)),
        ("product_id", text(args.product)),
        ("channel", args.channel.clone()),
        ("content_id", text(args.content)),
        ("sku_id", text(args.sku)),
        ("sub_campaign_id", text(args.sub_campaign)),
        ("hour_start", args.hour.clone()),
        ("baseline_day", args.baseline_day.map(|day| day.to_string())),
    ];
    let given = others
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Some(Question {
        shop_id: args.shop?,
        day: args.day?,
        metric: args.metric.clone(),
        column: args.column.clone(),
        table: args.table.clone(),
        others: given.collect(),
    })
}
