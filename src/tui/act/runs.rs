//! What keys do to plans and runs: start one, take it back, lead clients home.

use crate::domain::command::{Ask, RefusalReason};
use crate::domain::decide::revert_phrase;
use crate::domain::describe;
use crate::domain::ids::RegionId;
use crate::domain::plan::Plan;
use crate::domain::remedy;
use crate::domain::run::Mode;
use crate::domain::target;
use crate::domain::wayback::{FAILBACK, back_to, undoing};

use super::super::app::{App, Request};
use super::super::keymap::{self, Action};
use super::super::layers::{Field, Form, Layer, Plans, Purpose, Question, targets};
use super::super::panes::Pane;
use super::super::theme::Role;

impl App {
    pub(super) fn choose_plan(&mut self, at: Option<usize>) {
        let Some(mirror) = &self.mirror else { return };
        if mirror.plans.is_empty() {
            self.say(Role::Warn, "the engine knows no plan → put one into the folder of plans");
            return;
        }
        // What fits comes first; where nothing is wrong, the plan that is rehearsed most.
        let wanted = remedy::plan_for(mirror, self.now()).or_else(|| remedy::leaving(mirror, self.now()));
        let fits = wanted.and_then(|wanted| mirror.plans.iter().position(|plan| plan.id == wanted.id));
        let focused = (self.focus == Pane::Plan).then_some(self.plan_at);
        let at = at.or(focused).or(fits).unwrap_or(0).min(mirror.plans.len() - 1);
        self.layers.push(Layer::Plans(Plans { at }));
    }

    pub(super) fn start(&mut self, mode: Mode) -> Vec<Request> {
        let Some(Layer::Plans(plans)) = self.layers.last() else { return Vec::new() };
        let Some(plan) = self.mirror.as_ref().and_then(|mirror| mirror.plans.get(plans.at)) else { return Vec::new() };
        // What meets a drill is a drill.
        let drill = self.mirror.as_ref().and_then(|mirror| mirror.state.incident.as_ref()).is_some_and(|it| it.drill);
        let mode = if drill && mode == Mode::Live { Mode::Drill } else { mode };
        let said = format!("{} started ({mode})", plan.id);
        let ask = Ask::StartRun { plan: plan.id.clone(), mode, reason: String::new(), unattended: false };
        if let Err(refusal) = self.may(&ask) {
            self.say(Role::Warn, refusal.to_string());
            return Vec::new();
        }
        if let (Some(region), true) = (&plan.target, mode.acts()) {
            let form = self.towards(&plan.clone(), &region.clone(), mode).said(said);
            self.layers.push(Layer::Form(Box::new(form)));
            return Vec::new();
        }
        self.show_run();
        self.ask(ask, said)
    }

    /// From the list of plans to the run that begins.
    pub(in crate::tui) fn show_run(&mut self) {
        self.layers.retain(|layer| !matches!(layer, Layer::Plans(_)));
        (self.focus, self.selected, self.zoomed) = (Pane::Plan, None, false);
    }

    /// Where there are several regions to go to, the one that is meant is typed, with all of them in sight.
    fn towards(&self, plan: &Plan, region: &RegionId, mode: Mode) -> Form {
        let choices =
            self.mirror.as_ref().map(|mirror| target::table(mirror, plan.name(), self.now())).unwrap_or_default();
        let purpose = Purpose::Start(plan.id.clone(), mode);
        Form::new(format!("{}: which region?", plan.name()), purpose, vec![Field::phrase("region", region.as_str())])
            .about(targets::lines(&choices, region))
            .about([format!("Type the region to go to: {region}. Another one is another plan of the list.")])
            .dangerous()
    }

    /// A drill's incident is met by drills.
    pub(in crate::tui) fn mode(&self) -> Mode {
        let incident = self.mirror.as_ref().and_then(|mirror| mirror.state.incident.as_ref());
        if incident.is_some_and(|incident| incident.drill) { Mode::Drill } else { Mode::Live }
    }

    /// The whole run is taken back behind one typed phrase.
    pub(super) fn revert_run(&mut self) {
        let Some(run) = self.run().cloned() else {
            let run = keymap::key(Action::RunPlan);
            return self.say(Role::Dim, format!("nothing was run yet → {run} runs a plan"));
        };
        let (found, plain) = (undoing(&run), revert_phrase(&run));
        let ask = |phrase: &str| Ask::RevertRun { run: run.id.clone(), phrase: phrase.into(), reason: "-".into() };
        // What speaks against it can be overridden, and then a longer phrase is asked for.
        let against = self.may(&ask(&plain)).err().filter(|refusal| refusal.reason == RefusalReason::Unsafe);
        let phrase = if against.is_some() { format!("override {plain}") } else { plain };
        let back = found.back.iter().map(|step| format!("goes back: {step}"));
        let stays = found.stays.iter().map(|(step, why)| format!("stays: {step}, {why}"));
        let to = self.mirror.as_ref().and_then(|mirror| back_to(&run, &found, mirror.state.moved.as_ref()));
        let to = to.zip(self.mirror.as_ref()).map(|(region, mirror)| {
            let seen = mirror.region(&region, self.now());
            format!("clients go back to {region}, which is {}", describe::status(seen.status()).1)
        });
        let fields = vec![Field::phrase("phrase", &phrase), Field::text("reason", "")];
        let form = Form::new(format!("revert {}", run.id), Purpose::RevertRun(run.id.clone()), fields)
            .about(against.map(|refusal| format!("✗ {}", refusal.why)).into_iter().chain(to).chain(back).chain(stays))
            .dangerous()
            .said("the run is taken back");
        self.push_if(&ask(&phrase), Layer::Form(Box::new(form)));
    }

    /// The plan is made by the engine, of what the failover did.
    pub(super) fn bring_back(&mut self) {
        let ask = Ask::StartRun { plan: FAILBACK.into(), mode: self.mode(), reason: String::new(), unattended: false };
        let lines = vec!["Made from what the failover did. Nothing may be lost, and every gate asks.".to_owned()];
        let question =
            Question { title: "fail back".into(), lines, ask: ask.clone(), said: "the way back has begun".into() };
        self.push_if(&ask, Layer::Question(question));
    }
}
