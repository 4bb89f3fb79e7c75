//! Parses the arguments, runs, and maps what came of it to an exit code.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use mayday::cli::args::{Cli, Command, Format};
use mayday::cli::exit;
use mayday::cli::out::Quiet;
use mayday::systems::script::keeper;
use mayday::wiring::{self, Failure};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    if let Some(code) = keeper::main() {
        return code;
    }
    // Not by its name: an upgrade may have put another program there.
    keeper::keep_by("/proc/self/exe");
    let cli = Cli::parse();
    keep_memory();
    let engine = matches!(cli.command, Some(Command::Engine(_)));
    let for_programs = cli.common.output == Format::Json && cli.command.as_ref().is_none_or(Command::answers_once);
    log(engine);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("mayday: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(wiring::run(cli));
    match engine {
        // What its tasks have started ends with them.
        true => runtime.shutdown_timeout(PARTING),
        // A question at the terminal that nobody answers any more must not keep the program.
        false => runtime.shutdown_background(),
    }
    match outcome {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(Failure { exit, text }) => {
            if for_programs {
                // A program that asked for JSON is answered in JSON; people read the line below.
                let _ = writeln!(Quiet(std::io::stdout()), "{}", exit::failure(exit, &text));
            }
            // The exit code speaks even where nobody reads any more.
            let _ = writeln!(Quiet(std::io::stderr()), "mayday: {text}");
            ExitCode::from(exit.code())
        }
    }
}

/// How long what hangs may keep an engine that has ended.
const PARTING: Duration = Duration::from_millis(500);

/// Secrets are in this memory: it goes to no core file, and no other process of this user reads it. Where the system refuses, everything
/// works all the same.
fn keep_memory() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// An engine writes a log to standard error; everything else speaks for itself. `MAYDAY_LOG` asks for more.
fn log(engine: bool) {
    let level = if engine { "info" } else { "off" };
    let filter = EnvFilter::try_from_env("MAYDAY_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| wiring::log::Stderr).with_ansi(false);
    // The terminal of an engine may be gone: its log is lost then, and nothing else.
    log.log_internal_errors(false).init();
}
