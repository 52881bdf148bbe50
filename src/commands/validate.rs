//! `validate`: checks the exports of days against their contracts; writes nothing.

use anyhow::Result;
use chrono::{DateTime, NaiveDate, Utc};

use super::answer::{Answer, to_json};
use super::surroundings::{Surroundings, load_config, open_exports, resources, yesterday};
use crate::cli::{Cli, Format, ValidateArgs};
use crate::config::Config;
use crate::days::calendar::days;
use crate::days::readiness::{Readiness, check_day, check_location, listed};
use crate::exit_code::ExitCode;
use crate::exports::defect::Defect;
use crate::exports::{Unused, read_day};
use crate::report::documents::{DefectFound, Validated, ValidatedDay, Validity};
use crate::report::page;
use crate::report::run::DatasetRead;
use crate::resources::Resources;
use crate::store::Store;

pub(super) fn validate(
    cli: &Cli,
    args: &ValidateArgs,
    surroundings: &Surroundings,
) -> Result<Answer> {
    let config = load_config(cli, surroundings)?;
    let store = open_exports(&config, surroundings)?;
    check_location(&store, &config.mapping)?;
    let (first, last) = match (args.days.from, args.days.to) {
        (Some(first), Some(last)) => (first, last),
        _ => {
            let day = args
                .days
                .day
                .unwrap_or_else(|| yesterday(&config, surroundings));
            (day, day)
        }
    };
    let resources = resources(cli, &config, surroundings);
    let now = (surroundings.clock)();
    let mut exit_code = ExitCode::Published;
    let (mut checked, mut text) = (Vec::new(), String::new());
    for day in days(first, last) {
        let found = validate_day(&store, &config, &resources, day, args.strict, now)?;
        if exit_code != ExitCode::Blocked && found.exit_code != ExitCode::Published {
            exit_code = found.exit_code;
        }
        text += &found.text;
        checked.push(found.document);
    }
    let stdout = match cli.global.format {
        Format::Json => to_json(&Validated { days: checked }, exit_code)?,
        Format::Text => text,
    };
    Ok(Answer { stdout, exit_code })
}

/// The result of checking one day's exports.
struct Checked {
    exit_code: ExitCode,
    document: ValidatedDay,
    text: String,
}

fn validate_day(
    store: &Store,
    config: &Config,
    resources: &Resources,
    day: NaiveDate,
    strict: bool,
    now: DateTime<Utc>,
) -> Result<Checked> {
    let exports = match check_day(store, day, config, now)? {
        Readiness::Ready(exports) => exports,
        Readiness::NotYet(missing) => {
            let text = format!("{day}: not final yet, waiting for {}\n", listed(&missing));
            let document = ValidatedDay {
                day,
                outcome: Validity::NotFinal,
                missing: Some(missing.iter().map(|it| it.dataset).collect()),
                datasets: None,
                defects: None,
                not_final: None,
            };
            return Ok(Checked {
                exit_code: ExitCode::TryLater,
                document,
                text,
            });
        }
    };
    let read = read_day(store, &exports, config, resources, &|_| true, &mut Unused)?;
    let blocked = read.blocking(config).next().is_some();
    let absent = exports.not_final();
    let lacks_optional = !absent.is_empty() || !read.defects.is_empty();
    let exit_code = if blocked || (strict && lacks_optional) {
        ExitCode::Blocked
    } else {
        ExitCode::Published
    };
    let datasets: Vec<DatasetRead> = read
        .scoped_accounts()
        .map(|account| DatasetRead {
            day,
            account: account.clone(),
        })
        .collect();
    let mut text = page::datasets(&datasets) + "\n";
    for line in read.quarantined_within_budget(day, config.time_zone) {
        text += &format!("{day} {line}\n");
    }
    for (dataset, defect) in &read.defects {
        text += &(page::defect(day, dataset, defect, page::Role::Checked) + "\n");
    }
    if !absent.is_empty() {
        text += &format!(
            "{day}: optional exports that are not final: {}\n",
            listed(&absent)
        );
    }
    text += &format!(
        "{day}: {}\n",
        if blocked {
            "blocked; a run would publish no tables of the day itself"
        } else {
            "valid; a run can use its exports"
        }
    );
    let defects = read.defects.iter().map(|(dataset, defect)| DefectFound {
        dataset: dataset.name,
        day,
        reason: defect.reason(),
        issues: match defect {
            Defect::Contract(issues) => issues.clone(),
            Defect::OverBudget(_) | Defect::NoRows { .. } => vec![],
        },
    });
    let document = ValidatedDay {
        day,
        outcome: if blocked {
            Validity::Blocked
        } else {
            Validity::Valid
        },
        missing: None,
        datasets: Some(datasets),
        defects: Some(defects.collect()),
        not_final: Some(absent.iter().map(|it| it.dataset).collect()),
    };
    Ok(Checked {
        exit_code,
        document,
        text,
    })
}
