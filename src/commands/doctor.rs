//! `doctor`: checks the job file, the stores and the machine before a night.

use anyhow::Result;

use super::answer::{Answer, to_json};
use super::surroundings::{Surroundings, load_config, resources};
use crate::cli::{Cli, Format};
use crate::doctor::{Machine, Setup, examine, page};

pub(super) fn doctor(cli: &Cli, surroundings: &Surroundings) -> Result<Answer> {
    let setup = load_config(cli, surroundings).map(|config| Setup {
        resources: resources(cli, &config, surroundings),
        config,
    });
    let (process_id, nonce) = (surroundings.process_id, surroundings.nonce);
    let machine = Machine {
        environment: &surroundings.environment,
        clock: surroundings.clock,
        runtime: surroundings.runtime.clone(),
        memory_bytes: surroundings.machine_memory_bytes,
        usable_memory_bytes: surroundings.memory_bytes,
        probe_name: format!("doctor-{process_id}-{nonce:016x}"),
        stop: surroundings.stop.clone(),
    };
    let found = examine(&cli.global.config, &setup, &machine)?;
    let exit_code = found.exit_code();
    let stdout = match cli.global.format {
        Format::Json => to_json(&found, exit_code)?,
        Format::Text => page(&found),
    };
    Ok(Answer { stdout, exit_code })
}
