//! The commands: each turns its arguments into a text for stdout and an exit code.

mod answer;
mod backfill;
mod beside;
mod catalog;
mod completions;
mod describe;
mod diff;
mod docs;
mod doctor;
mod explain;
mod generate;
mod init;
mod man;
mod metrics_file;
mod plan;
mod report;
mod run;
mod schema;
mod status;
mod surroundings;
mod unlock;
mod vacuum;
mod validate;

use anyhow::Result;
use serde_json::json;

use crate::bug;
use crate::cli::{Cli, Command, exit_code_page};
use crate::failure::exit_code_of;
use crate::report::documents::Failed;
use crate::report::run::RunReport;
pub use answer::Answer;
pub use surroundings::Surroundings;

/// Runs one command.
pub fn execute(cli: &Cli, surroundings: &Surroundings) -> Result<Answer> {
    match &cli.command {
        Command::Run(args) => run::run(cli, args, surroundings),
        Command::Backfill(args) => backfill::backfill(cli, args, surroundings),
        Command::Plan(args) => plan::plan(cli, args, surroundings),
        Command::Status(args) => status::status(cli, args, surroundings),
        Command::Explain(args) => explain::explain(cli, args, surroundings),
        Command::Report(args) => report::report(cli, args, surroundings),
        Command::Diff(args) => diff::diff(cli, args, surroundings),
        Command::Catalog(args) => catalog::catalog(cli, args, surroundings),
        Command::Describe(args) => describe::describe(cli, args),
        Command::Doctor => doctor::doctor(cli, surroundings),
        Command::Unlock => unlock::unlock(cli, surroundings),
        Command::Vacuum(args) => vacuum::vacuum(cli, args, surroundings),
        Command::Validate(args) => validate::validate(cli, args, surroundings),
        Command::Generate(args) => generate::generate(cli, args, surroundings),
        Command::Init(args) => init::init(cli, args, surroundings),
        Command::Schema(args) => schema::schema(cli, args),
        Command::Completions(args) => Ok(completions::completions(args)),
        Command::Man(args) => man::man(args),
        Command::ExitCodes => Ok(Answer::done(exit_code_page())),
        Command::Docs(args) => Ok(docs::docs(args)),
    }
}

/// The JSON document of a command that ended with an error. A failed `run` has the same form as
/// every report of a run.
pub fn failed(cli: &Cli, error: &anyhow::Error) -> serde_json::Value {
    let Command::Run(args) = &cli.command else {
        return json!(Failed::new(
            bug::text_of(error),
            bug::parts_of(error),
            exit_code_of(error)
        ));
    };
    let report = RunReport::of_failed_run(args.day.unwrap_or_default(), error);
    let mut document = json!(report);
    if args.day.is_none() {
        document["day"] = serde_json::Value::Null;
    }
    document
}
