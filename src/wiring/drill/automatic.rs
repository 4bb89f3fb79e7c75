//! The drills that the engine begins by itself: each in a process of its own, which tells the engine what came of it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::Command;

use super::super::log;
use super::super::places::Places;
use super::check;
use crate::cli::exit::Exit;
use crate::domain::drill::DrillResult;
use crate::domain::schedule::Driller;
use crate::domain::system::Fault;
use crate::domain::time::At;

/// Begins `mayday drill run`.
pub struct Child {
    places: Places,
}

impl Child {
    pub fn new(places: Places) -> Self {
        Self { places }
    }

    fn log(&self) -> PathBuf {
        self.places.state.join("drills.log")
    }

    async fn run(&self, name: &str) -> std::io::Result<Option<i32>> {
        let open = || log::open(&self.log());
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["drill", "run", name]).arg("--config").arg(&self.places.config);
        // By its socket, so that it starts no engine where this one was stopped.
        command.arg("--state-dir").arg(&self.places.state).arg("--socket").arg(&self.places.socket);
        command.stdin(Stdio::null()).stdout(open()?).stderr(open()?).process_group(0);
        Ok(command.status().await?.code())
    }
}

/// How long the evidence may take to be read: the folder is one that somebody names.
const READING: Duration = Duration::from_secs(20);

#[async_trait]
impl Driller for Child {
    async fn check(&self, result: &DrillResult, now: At) -> Result<(), String> {
        let result = result.clone();
        let read = tokio::task::spawn_blocking(move || check::check(&result, now));
        match tokio::time::timeout(READING, read).await {
            Ok(Ok(outcome)) => outcome,
            _ => Err("its evidence could not be read in time".into()),
        }
    }

    async fn play(&self, name: &str) -> Result<(), Fault> {
        let fault = |what: String| {
            Fault::permanent("mayday", what)
                .means("the plan was not rehearsed; the drill stays due")
                .next(format!("read {}, then: mayday drill run {name}", self.log().display()))
        };
        match self.run(name).await.map(|code| code.map(Exit::of)) {
            // One that failed has told its result, too.
            Ok(Some(Some(Exit::Ok | Exit::Failed))) => Ok(()),
            Ok(Some(Some(exit))) => Err(fault(format!("the drill {name} ended without a result: {}", exit.meaning()))),
            Ok(_) => Err(fault(format!("the drill {name} was ended from outside"))),
            Err(error) => Err(fault(format!("the drill {name} cannot be begun: {error}"))),
        }
    }
}
