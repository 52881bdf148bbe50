//! `generate`: writes a synthetic marketplace's exports.

use anyhow::Result;
use chrono::Days;

use super::answer::{Answer, to_json};
use super::surroundings::{Surroundings, display};
use crate::cli::{Cli, Format, GenerateArgs};
use crate::exit_code::ExitCode;
use crate::messages;
use crate::progress::Progress;
use crate::report::counted;
use crate::report::documents::Generated;

pub(super) fn generate(
    cli: &Cli,
    args: &GenerateArgs,
    surroundings: &Surroundings,
) -> Result<Answer> {
    let progress = Progress::new(display(cli, surroundings));
    let world = crate::generate::World {
        shops: args.shops,
        days: args.days,
        rows_per_day: args.rows_per_day,
        seed: args.seed,
        first_day: args.first_day,
        time_zone: args.time_zone,
        awkward: args.awkward,
    };
    progress.start(args.days.into());
    crate::generate::generate(&world, &args.out, &mut |day| {
        progress.stage(day, "generate", "written", None);
        progress.day_done();
    })
    .map_err(
        |error| match error.chain().any(|cause| cause.is::<std::io::Error>()) {
            true => messages::cannot_generate(format!("{error:#}")).into(),
            false => error,
        },
    )?;
    progress.finish();
    let last_day = args.first_day + Days::new(u64::from(args.days) - 1);
    let stdout = match cli.global.format {
        Format::Json => to_json(
            &Generated {
                out: &args.out,
                first_day: args.first_day,
                last_day,
            },
            ExitCode::Published,
        )?,
        Format::Text => {
            let days = counted(args.days as usize, "day");
            format!("{days} of exports in {}\n", args.out.display())
        }
    };
    Ok(Answer::done(stdout))
}
