//! `explain`: arguments and answer of the command; the answer is found in `explain/`.

use anyhow::Result;

use super::answer::{Answer, to_json};
use super::surroundings::{Surroundings, open_job};
use crate::catalog::history::History;
use crate::cli::{Cli, ExplainArgs, Format};
use crate::explain::{self, Question, Thoroughness};

pub(super) fn explain(
    cli: &Cli,
    args: &ExplainArgs,
    surroundings: &Surroundings,
) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let facts = job.facts()?;
    let history = History::load(&facts.state)?;
    if args.sql {
        let found = explain::sql(&facts, &history, &question(args))?;
        return Ok(Answer::done(match cli.global.format {
            Format::Json => to_json(&found)?,
            Format::Text => found.sql,
        }));
    }
    let thoroughness = Thoroughness {
        is_deep: args.deep,
        rows_shown: args.rows,
    };
    let question = question(args);
    let found = explain::explain(&facts, &history, &job.resources, &question, thoroughness)?;
    let stdout = match cli.global.format {
        Format::Json => to_json(&found)?,
        Format::Text => explain::page(&found),
    };
    Ok(Answer {
        stdout,
        exit_code: found.recomputed.outcome.exit_code(),
    })
}

fn question(args: &ExplainArgs) -> Question {
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
        .filter_map(|(name, value)| Some((name, value?)));
    Question {
        shop_id: args.shop,
        day: args.day,
        metric: args.metric.clone(),
        table: args.table.clone(),
        others: given.collect(),
    }
}
