//! `kubernetes.fence`: what writes to the old stores is stopped before new writers are made. At zero replicas a HorizontalPodAutoscaler is
//! off, so it takes none of this back; KEDA does, and is paused. It is done when no pod that could write is left, whoever made it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::Cluster;
use super::super::rights::{look_at, tell as right_to_tell};
use super::super::scalers::Autoscaler;
use super::super::sorts::{POD, SCALED_OBJECT, WRITING};
use super::super::workload::Workload;
use super::super::writers::{Writer, Writers, listed};
use super::{amount, bound, noted, restore, tell, titled};
use crate::domain::run::IN_PART;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::systems::kubernetes::rights::action;
use crate::systems::shell::quoted;

pub struct Fence {
    pub cluster: Arc<Cluster>,
    /// What is stopped; all of it when empty.
    pub names: Vec<String>,
    /// What may go on.
    pub except: Vec<String>,
}

/// What an API server's silence means here.
const OUT_OF_REACH: &str = "nothing there can be stopped from here, and clients are about to be sent elsewhere";

impl Fence {
    /// Who may write, of all clusters that are there. A refusal, an error, a full queue, an answer that takes long is not silence: what
    /// writes there may well go on.
    async fn writers(&self) -> Result<Writers, Fault> {
        let silent = self.cluster.silence(true).await?;
        self.cluster.writers(&self.names, &self.except, &silent).await
    }

    /// What to do about what no fence stops.
    fn advice(&self, staying: &[&Writer]) -> String {
        format!(
            "{}: nothing here stops that; delete it, or if it writes nothing name it in the step's `except`",
            listed(staying.iter().copied())
        )
    }
}

/// Those that can be told to stop and were not.
fn to_stop(all: &Writers) -> Vec<&Writer> {
    all.in_order().into_iter().filter(|it| it.can_be_told() && !it.it.is_stopped()).collect()
}

/// Whether KEDA would start it again.
fn to_pause(it: &Workload) -> bool {
    it.scaler.as_ref().is_some_and(|scaler| scaler.bounds.keda.is_some() && !scaler.bounds.leaves_zero())
}

/// Nobody writes; or why that is not known.
fn nobody(all: &Writers, detail: &str) -> Result<String, Fault> {
    match (all.blind.first(), lost(all)) {
        (Some(fault), _) => Err(fault.clone().means("what is of that kind may write")),
        (None, Some(lost)) if all.reached == 0 => Ok(lost),
        (None, Some(lost)) => Ok(format!("{detail}; {lost}")),
        (None, None) => Ok(detail.to_owned()),
    }
}

/// What is said of clusters where nobody answers.
fn lost(all: &Writers) -> Option<String> {
    (!all.silent.is_empty()).then(|| format!("{}: {OUT_OF_REACH}", all.silent.join("; ")))
}

/// What would lose its data by being stopped
/// (<https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention>).
fn claims_guard<'a>(all: impl IntoIterator<Item = &'a Writer>) -> Option<Guard> {
    let losing: Vec<String> =
        all.into_iter().map(|it| &it.it).filter(|it| it.drops_claims).map(Workload::called).collect();
    let why = "scaled to zero it loses its volumes (`persistentVolumeClaimRetentionPolicy.whenScaled` is Delete), and nothing brings \
               them back: set that to Retain first, or name it in the step's `except`";
    (!losing.is_empty()).then(|| Guard::block("claims", format!("{}: {why}", losing.join(", "))))
}

#[async_trait]
impl Step for Fence {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        let all = self.writers().await?;
        let (writing, staying) = (listed(all.writing()), all.staying());
        if writing.is_empty() {
            return Ok(Observed::Done { detail: nobody(&all, "everything is scaled to zero, and no pod is left")? });
        }
        Ok(match (to_stop(&all).is_empty(), staying.is_empty(), begun) {
            (true, true, _) => Observed::InProgress { detail: format!("still ending: {writing}") },
            (true, false, Some(_)) => Observed::InProgress { detail: self.advice(&staying) },
            _ => Observed::NotDone { detail: format!("still writing: {writing}") },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let all = self.writers().await?;
        let running: Vec<&Workload> = to_stop(&all).into_iter().map(|it| &it.it).collect();
        let mut diff = Vec::new();
        for it in &running {
            if let Some(scaler) = it.scaler.as_ref().filter(|_| to_pause(it)) {
                diff.push(format!("- autoscaler {} {}", scaler.bounds.name, scaler.bounds.words()));
                diff.push(format!("+ autoscaler {} KEDA paused at 0", scaler.bounds.name));
            }
            if it.wanted > 0 {
                diff.push(format!("- {} {}", titled(it), amount(it, it.wanted)));
                diff.push(format!("+ {} {}", titled(it), amount(it, 0)));
            }
        }
        let replicas: u64 = running.iter().map(|it| it.wanted).sum();
        let counted = super::counted(running.iter().copied());
        let stopped = format!("{counted} of {}: {replicas} → 0 replicas", self.cluster.place());
        let summary = match lost(&all) {
            Some(lost) if all.reached == 0 => lost,
            Some(lost) => format!("{stopped}; {lost}"),
            None => stopped,
        };
        Ok(Preview { summary, diff, pre_image: noted(running.into_iter()) })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let all = self.writers().await?;
        let lost = lost(&all).map(|why| Guard::warn("reachable", why));
        if all.reached == 0 {
            return Ok(Checked { guards: lost.into_iter().collect(), promotion: None });
        }
        let clients = "whoever is still served there is cut off until clients are sent elsewhere";
        let mut guards = vec![Guard::warn("clients", clients).situational()];
        guards.extend(lost);
        guards.extend(claims_guard(to_stop(&all)));
        let staying = all.staying();
        if !staying.is_empty() {
            guards.push(Guard::warn("staying", self.advice(&staying)).situational());
        }
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let mut receipt = Receipt::new();
        let all = self.writers().await?;
        // What nobody answers for is not stopped: whoever decides by this fence has to know.
        receipt.extend(lost(&all).map(|lost| (IN_PART.to_owned(), lost)));
        for writer in to_stop(&all) {
            let it = &writer.it;
            if to_pause(it) {
                log.line(&format!("autoscaler of {}: KEDA paused at 0", it.called()));
                bound(it, &Autoscaler::paused_at_zero()).await?;
            }
            if it.wanted > 0 {
                log.line(&format!("{}: {} → {}", titled(it), amount(it, it.wanted), amount(it, 0)));
                tell(it, 0).await?;
            }
            receipt.insert(it.key(), "0".into());
        }
        // All that could be seen is stopped; of the rest it is told when this is verified.
        all.blind.iter().for_each(|fault| log.line(&fault.what));
        Ok(receipt)
    }

    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let all = self.writers().await?;
        let (writing, staying) = (listed(all.writing()), all.staying());
        if writing.is_empty() {
            return Ok(Verified::Holds { detail: nobody(&all, "every pod is gone")?, recovery_point: None });
        }
        let is_over = all.writing().count() == staying.len();
        Ok(match is_over {
            true => Verified::Broken { why: self.advice(&staying) },
            false => Verified::Pending { detail: format!("still ending: {writing}") },
        })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        restore(&self.cluster, &begun.pre_image, log).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let all = self.cluster.writers(&self.names, &self.except, &[]).await?;
        let mut rights: BTreeSet<_> =
            WRITING.iter().filter(|it| !it.group().contains('.')).map(|it| look_at(it)).collect();
        rights.insert(look_at(&POD));
        // Of what is there today it may be told how much to run.
        rights.extend(all.all.iter().filter_map(|writer| right_to_tell(&writer.it.sort)));
        if all.all.iter().any(|writer| writer.it.scaler.as_ref().is_some_and(|it| it.bounds.keda.is_some())) {
            rights.insert(action(SCALED_OBJECT.group(), &SCALED_OBJECT.plural, "patch"));
        }
        let mut fitness = self.cluster.fitness(rights).await?;
        let staying = all.staying();
        fitness.guards.push(match staying.is_empty() {
            true => Guard::pass("staying", "everything that runs there can be told to stop"),
            false => Guard::block("staying", self.advice(&staying)),
        });
        fitness.guards.extend(claims_guard(&all.all));
        fitness.guards.extend(all.blind.iter().map(|fault| Guard::block("unseen", &fault.what)));
        Ok(fitness)
    }

    fn by_hand(&self) -> Vec<String> {
        let which = match self.names.is_empty() {
            true => "deployments,statefulsets --all".to_owned(),
            // A name without its kind is a deployment's, as far as can be told from here.
            false => self.names.iter().map(|name| quoted(&of_kind(name))).collect::<Vec<_>>().join(" "),
        };
        let mut lines = vec!["# Note the replicas first: they are the way back".to_owned()];
        for spot in &self.cluster.spots {
            let kubectl = spot.kubectl();
            lines.push(format!("{kubectl} get deployments,statefulsets,cronjobs,jobs,daemonsets"));
            if self.names.is_empty() {
                lines.push(format!(
                    "{kubectl} get cronjobs -o name | xargs -r -I NAME {kubectl} patch NAME -p '{{\"spec\":{{\"suspend\":true}}}}'"
                ));
                lines.push(format!(
                    "{kubectl} get jobs -o name | xargs -r -I NAME {kubectl} patch NAME -p '{{\"spec\":{{\"parallelism\":0}}}}'"
                ));
                lines.push("# Only where there is KEDA:".to_owned());
                lines.push(format!(
                    "{kubectl} annotate scaledobjects --all --overwrite autoscaling.keda.sh/paused-replicas=0"
                ));
                lines.push("# Only where there are Argo Rollouts:".to_owned());
                lines.push(format!(
                    "{kubectl} get rollouts -o name | xargs -r -I NAME {kubectl} scale NAME --replicas 0"
                ));
            }
            lines.push(format!("{kubectl} scale {which} --replicas 0"));
            lines.push("# Verify: no pod is left that could write".to_owned());
            lines.push(format!("{kubectl} get pods"));
        }
        lines
    }
}

/// `deployment/auth` of `auth`; what says its kind is left as it is.
fn of_kind(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("deployment/{name}") }
}
