//! `plan.run`: a plan that calls plans. The steps of the called plan are written in the place of the call, each under the call's name, and
//! the call itself stays behind them: it gives the verdict on what they did before anything that waits for it begins.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::mistake::Mistake;
use super::suggest::one_of;
use crate::domain::ids::{PlanId, StepId};
use crate::domain::kinds::StepRole;
use crate::domain::plan::{OF, PLAN, Plan, RUN, StepSpec, towards};

/// Writes out every call. A plan whose calls cannot be is left out, with what is wrong with it; `files` says where each is from.
pub fn all(plans: Vec<Plan>, files: &BTreeMap<PlanId, String>) -> (Vec<Plan>, Vec<Mistake>) {
    let (mut made, mut mistakes) = (Vec::new(), Vec::new());
    for plan in &plans {
        match one(plan, &plans, &mut vec![plan.id.clone()]) {
            Ok(whole) => made.push(whole),
            Err((what, help)) => {
                let file = files.get(&plan.id).cloned().unwrap_or_else(|| plan.id.to_string());
                let mistake = Mistake { file, place: None, what, help };
                if !mistakes.contains(&mistake) {
                    mistakes.push(mistake);
                }
            }
        }
    }
    (made, mistakes)
}

/// What is wrong, and what to write instead.
type Wrong = (String, String);

fn one(plan: &Plan, plans: &[Plan], calls: &mut Vec<PlanId>) -> Result<Plan, Wrong> {
    if plan.steps.iter().all(|step| step.kind != RUN) {
        return Ok(plan.clone());
    }
    let (mut steps, mut prints) = (Vec::new(), vec![plan.fingerprint.clone()]);
    for step in &plan.steps {
        if step.kind != RUN {
            steps.push(step.clone());
            continue;
        }
        let called = called(plan, step, plans)?;
        if calls.contains(&called.id) {
            let chain: Vec<&str> = calls.iter().chain([&called.id]).map(PlanId::as_str).collect();
            return Err((
                format!("step `{}` calls the plan that it is part of ({})", step.id, chain.join(" → ")),
                String::new(),
            ));
        }
        calls.push(called.id.clone());
        let inner = one(called, plans, calls)?;
        calls.pop();
        prints.push(inner.fingerprint.clone());
        steps.extend(written_out(step, &inner));
    }
    let whole = Plan { steps, fingerprint: print(&prints), ..plan.clone() };
    match whole.mistakes().first() {
        None => Ok(whole),
        Some(mistake) => Err((format!("step `{}` {}", mistake.step, mistake.what), String::new())),
    }
}

/// The plan that a step calls: the one that leads where the calling plan does, where it leads to several regions.
fn called<'p>(plan: &Plan, step: &StepSpec, plans: &'p [Plan]) -> Result<&'p Plan, Wrong> {
    let name = step.params.opt_text(PLAN).unwrap_or_default();
    let aimed = plan.target.as_ref().map(|target| towards(name, target));
    let of = |id: &PlanId| plans.iter().find(|plan| plan.id == *id);
    let found = aimed.as_ref().and_then(of).or_else(|| of(&name.into()));
    found.ok_or_else(|| {
        let known: Vec<&str> = plans.iter().map(|plan| plan.id.as_str()).collect();
        (format!("step `{}` calls the plan `{name}`, which this estate does not have", step.id), one_of(name, &known))
    })
}

/// The steps of the called plan, and the call behind them. Records are left to the calling plan: there is one run, and one record of it.
fn written_out(call: &StepSpec, inner: &Plan) -> Vec<StepSpec> {
    let kept = |id: &StepId| inner.step(id).is_some_and(|step| step.role != StepRole::Records);
    let named = |id: &StepId| StepId::new(format!("{}{OF}{id}", call.id));
    let mut steps: Vec<StepSpec> = Vec::new();
    for step in inner.steps.iter().filter(|step| kept(&step.id)) {
        let (mut needs, mut open) = (BTreeSet::new(), step.needs.clone());
        while let Some(need) = open.pop() {
            match kept(&need) {
                true => drop(needs.insert(named(&need))),
                false => open.extend(inner.step(&need).into_iter().flat_map(|it| it.needs.iter().cloned())),
            }
        }
        let needs = if needs.is_empty() { call.needs.clone() } else { needs.into_iter().collect() };
        steps.push(StepSpec { id: named(&step.id), needs, ..step.clone() });
    }
    let waited_for: BTreeSet<StepId> = steps.iter().flat_map(|step| step.needs.iter().cloned()).collect();
    let ends: Vec<StepId> = steps.iter().map(|step| step.id.clone()).filter(|id| !waited_for.contains(id)).collect();
    let needs = if ends.is_empty() { call.needs.clone() } else { ends };
    steps.push(StepSpec { needs, ..call.clone() });
    steps
}

fn print(prints: &[String]) -> String {
    Sha256::digest(prints.join("\n")).iter().map(|byte| format!("{byte:02x}")).collect()
}
