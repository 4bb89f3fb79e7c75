//! Which region a run goes to, where its plan leads to several: named with `--to`, or typed under a table of all of them.

use std::io::{self, BufRead, IsTerminal, Write};

use super::failure::Failure;
use crate::cli::args::RunArgs;
use crate::cli::exit::Exit;
use crate::cli::plan::choices;
use crate::domain::ids::{PlanId, RegionId};
use crate::domain::plan::Plan;
use crate::domain::target;
use crate::domain::view::Snapshot;
use std::sync::Arc;

/// The plan that is meant by the name and the region of a command.
///
/// # Errors
/// When there is none, or nobody says where to.
pub async fn plan(view: &Snapshot, args: &RunArgs) -> Result<PlanId, Failure> {
    let refused = |why: String| Failure::new(Exit::Refused, why);
    let name = PlanId::from(args.name.as_str());
    if let Some(region) = args.to.as_deref() {
        return target::to(&view.plans, &name, &region.into()).map_err(refused);
    }
    match find(view, &args.name) {
        Ok(found) => Ok(found.id.clone()),
        Err(failure) if target::regions_of(&view.plans, &args.name).is_empty() => Err(failure),
        Err(failure) => {
            eprint!("{}", choices(view, &args.name));
            if !io::stdin().is_terminal() {
                return Err(failure);
            }
            target::to(&view.plans, &name, &RegionId::from(typed().await?)).map_err(refused)
        }
    }
}

async fn typed() -> Result<String, Failure> {
    eprint!("  type the region to go to: ");
    io::stderr().flush()?;
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    Ok(line.await.map_err(io::Error::other)??.trim().to_owned())
}

pub(super) fn find(view: &Snapshot, name: &str) -> Result<Arc<Plan>, Failure> {
    let made = crate::domain::wayback::plan(&view.estate, &view.state, &view.plans, &PlanId::from(name));
    made.map_err(|why| Failure::new(Exit::Refused, why))
}
