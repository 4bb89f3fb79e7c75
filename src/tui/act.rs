//! What each action of the keymap does to the model, and what it asks of the shell.

use crate::domain::command::{Ask, RefusalReason};
use crate::domain::decide::revert_phrase;
use crate::domain::describe;
use crate::domain::ids::{RegionId, StepId};
use crate::domain::incident::Severity;
use crate::domain::plan::{Gate, Plan, StepSpec};
use crate::domain::remedy;
use crate::domain::review::Documents;
use crate::domain::run::{Mode, Run, StepPhase};
use crate::domain::target;
use crate::domain::view::StepByHand;
use crate::domain::wayback::{FAILBACK, back_to, undoing};

use super::app::{App, Request, Scroll};
use super::keymap::{self, Action};
use super::layers::form::verb;
use super::layers::palette::{Does, Palette};
use super::layers::{Card, Field, Form, Layer, Plans, Purpose, Question, Reader, Text, card, targets};
use super::look::Look;
use super::panes::Pane;
use super::theme::Role;

/// How far a page goes.
const PAGE: isize = 10;

impl App {
    /// Does what a row of the keymap says; `key` is how it was called.
    pub(super) fn act(&mut self, action: Action, key: &str) -> Vec<Request> {
        if action.reaches_people() && !self.typing.is_meant() {
            self.say(
                Role::Warn,
                format!(
                    "not done ({}): it came too soon, or with other keys → press it again",
                    keymap::of(action).title
                ),
            );
            return Vec::new();
        }
        match action {
            Action::Detach => return vec![Request::Detach],
            Action::Suspend => return vec![Request::Suspend],
            Action::Redraw => return vec![Request::Redraw],
            Action::Hold => return self.hold(),
            Action::Arm => return self.arm(),
            Action::Yes => return self.yes(),
            Action::Submit => return self.submit(),
            Action::Confirm => return self.confirm(),
            Action::LookAgain => return self.look_again(),
            Action::StartLive => return self.start(Mode::Live),
            Action::Rehearse => return self.start(Mode::Rehearsal),
            Action::TakeCommand => return self.ask_if(Ask::TakeCommand {}, "you are the commander"),
            Action::ByHand => return self.by_hand(),
            Action::Copy => return self.copy(),
            Action::Report => return vec![Request::Report],
            Action::Up => self.go(-1),
            Action::Down => self.go(1),
            Action::PageUp => self.go(-PAGE),
            Action::PageDown => self.go(PAGE),
            Action::Top => self.go(isize::MIN),
            Action::Bottom => self.go(isize::MAX),
            Action::Back => return self.back(),
            Action::Tell => return self.tell(),
            Action::TellNow => return self.tell_now(),
            Action::SendUpdate => return self.send_update(),
            Action::ChooseStatus | Action::EditText | Action::KeepText => self.on_message(action, key),
            Action::Acknowledge => return self.ask_if(Ask::Acknowledge {}, "acknowledged: you work on it"),
            Action::TakeCommunications => return self.ask_if(Ask::TakeCommunications {}, "you speak for the incident"),
            Action::HandOver => self.hand_over(),
            Action::Open => self.open(),
            Action::NextWaiting => self.next_waiting(),
            Action::Override => self.override_guards(),
            Action::Retry if self.focus == Pane::Communications && self.layers.is_empty() => self.retry_delivery(),
            Action::Retry | Action::Skip | Action::MarkDone | Action::Revert => self.verb(action),
            Action::Declare => self.declare(),
            Action::RunPlan => self.choose_plan(None),
            Action::Note | Action::CloseIncident | Action::Abandon | Action::SetSeverity => self.about_incident(action),
            Action::FocusPane => self.focus_on(Pane::of_key(key).unwrap_or(self.focus)),
            Action::NextPane => self.focus_on(self.focus.after(1)),
            Action::PreviousPane => self.focus_on(self.focus.after(-1)),
            Action::Zoom => self.zoomed = !self.zoomed,
            Action::Filter => self.filter(),
            Action::Palette => self.layers.push(Layer::Palette(Box::default())),
            Action::Help => self.read("help", Text::Keys(self.context())),
            Action::Contacts => self.read("whom to call", Text::Contacts),
            Action::Theme => self.switch_theme(&self.options.themes.after(&self.theme.name)),
            Action::Walk => self.walk(),
            Action::GoOn => return self.go_on(),
            Action::SkipItem | Action::ReopenItem => self.answer_item(action),
            Action::LookAtItem => return self.look_at_item(),
            Action::NextPage => self.turn(1),
            Action::PreviousPage => self.turn(-1),
            Action::WayBack => self.read("the way back", Text::WayBack),
            Action::RevertRun => self.revert_run(),
            Action::BringBack => self.bring_back(),
            Action::NextField | Action::PreviousField | Action::Less | Action::More => {
                self.in_form(action);
                self.on_message(action, key);
            }
        }
        Vec::new()
    }

    pub(super) fn ask(&self, ask: Ask, said: impl Into<String>) -> Vec<Request> {
        vec![Request::Ask { ask, said: said.into() }]
    }

    /// Pushes a layer if the rules would let its command through; says why not otherwise.
    pub(super) fn push_if(&mut self, ask: &Ask, layer: Layer) {
        match self.may(ask) {
            Ok(()) => self.layers.push(layer),
            Err(refusal) => self.say(Role::Warn, refusal.to_string()),
        }
    }

    fn hold(&mut self) -> Vec<Request> {
        if self.mirror.as_ref().is_none_or(|mirror| mirror.state.hold.is_none()) {
            return self.ask(
                Ask::Hold { reason: String::new() },
                format!("HOLD: nothing new starts → {} releases", keymap::key(Action::Hold)),
            );
        }
        let ask = Ask::Release { reason: String::new() };
        let question = Question {
            title: "release HOLD?".into(),
            lines: vec!["Everything that waits and whose gate is answered will start at once.".into()],
            ask: ask.clone(),
            said: "released".into(),
        };
        self.push_if(&ask, Layer::Question(question));
        Vec::new()
    }

    fn arm(&mut self) -> Vec<Request> {
        if self.armed().is_some() {
            return self.ask(Ask::Disarm {}, "disarmed: view only");
        }
        let expires = self.mirror.as_ref().map(|mirror| mirror.estate.policy.arm_expires.to_string());
        self.layers.push(Layer::Question(Question {
            title: "arm this cockpit?".into(),
            lines: vec![
                "Armed, this cockpit can change systems. Every gate still asks.".into(),
                format!("It is view-only again after {} without a key.", expires.unwrap_or_default()),
            ],
            ask: Ask::Arm {},
            said: format!("armed → {} disarms", keymap::key(Action::Arm)),
        }));
        Vec::new()
    }

    fn yes(&mut self) -> Vec<Request> {
        let Some(Layer::Question(question)) = self.layers.pop() else { return Vec::new() };
        self.ask(question.ask, question.said)
    }

    /// The run, the spec of the step that keys act on, and its id. Says what is missing.
    fn target(&mut self) -> Option<(&Run, &StepSpec)> {
        let id = self.step();
        if id.is_none() {
            self.say(Role::Dim, format!("no plan is running → {} runs one", keymap::key(Action::RunPlan)));
        }
        let run = self.shown_run()?;
        Some((run, run.plan.step(&id?)?))
    }

    fn confirm(&mut self) -> Vec<Request> {
        let estate = self.mirror.as_ref().map(|mirror| mirror.estate.clone());
        let Some((run, spec)) = self.target() else { return Vec::new() };
        let Some(ask) = card::ask(Action::Confirm, run, spec) else { return Vec::new() };
        let (id, step, gate, phrase) = (run.id.clone(), spec.id.clone(), spec.gate, spec.phrase.clone());
        let card = run.step(&spec.id).and_then(|known| known.card.as_ref());
        let seen = card.map(|card| card.at);
        let stakes = card.zip(estate).map(|(card, estate)| card::stakes(&estate, spec, card)).unwrap_or_default();
        if let Err(refusal) = self.may(&ask) {
            self.say(Role::Warn, refusal.to_string());
            return Vec::new();
        }
        let said = format!("{step}: confirmed");
        if gate == Gate::Typed {
            let form = Form::new(
                format!("confirm {step}"),
                Purpose::Confirm(id, step, seen),
                vec![Field::phrase("name", &phrase)],
            )
            .about(stakes)
            .about([format!("Type the target's name to go ahead: {phrase}")])
            .dangerous()
            .said(said);
            self.layers.push(Layer::Form(Box::new(form)));
            return Vec::new();
        }
        self.close_card();
        self.ask(Ask::Confirm { run: id, step, phrase: String::new(), seen }, said)
    }

    /// Takes the card away, and lets the selection follow what matters again.
    fn close_card(&mut self) {
        self.layers.retain(|layer| !matches!(layer, Layer::Card(_)));
        self.selected = None;
    }

    fn override_guards(&mut self) {
        let Some((run, spec)) = self.target() else { return };
        let Some(ask) = card::ask(Action::Override, run, spec) else { return };
        let blocks = run.step(&spec.id).and_then(|step| step.card.as_ref());
        let blocks: Vec<String> = blocks
            .into_iter()
            .flat_map(|card| card.blocks().map(|guard| format!("✗ {}: {}", guard.name, guard.detail)))
            .collect();
        let fields = vec![Field::phrase("phrase", &card::override_phrase(spec)), Field::text("reason", "")];
        let form = Form::new(
            format!("override the guards of {}", spec.id),
            Purpose::Override(run.id.clone(), spec.id.clone()),
            fields,
        )
        .about(blocks)
        .about(["Mayday advises against this. It is journalled with your name and reason.".to_owned()])
        .dangerous()
        .said(format!("{}: guards overridden", spec.id));
        self.push_if(&ask, Layer::Form(Box::new(form)));
    }

    fn verb(&mut self, action: Action) {
        let title = keymap::of(action).title;
        let Some((run, spec)) = self.target() else { return };
        let (id, step) = (run.id.clone(), spec.id.clone());
        let Some(ask) = verb(action, id.clone(), step.clone(), "-".into()) else { return };
        // Whoever has it begun again while nobody can tell whether it happened has to say why.
        let plain = action == Action::Retry && run.phase(&step) != StepPhase::Asking;
        let field = if plain { Field::optional("reason", "") } else { Field::text("reason", "") };
        let form = Form::new(format!("{title}: {step}"), Purpose::Verb(action, id, step.clone()), vec![field])
            .about([keymap::of(action).help.to_owned()])
            .said(format!("{step}: {title}"));
        self.push_if(&ask, Layer::Form(Box::new(form)));
    }

    fn look_again(&mut self) -> Vec<Request> {
        let Some((run, spec)) = self.target() else { return Vec::new() };
        let ask = Ask::Refresh { run: run.id.clone(), step: spec.id.clone() };
        let said = format!("looking again at {}", spec.id);
        match self.may(&ask) {
            Ok(()) => self.ask(ask, said),
            Err(refusal) => {
                self.say(Role::Warn, refusal.to_string());
                Vec::new()
            }
        }
    }

    fn declare(&mut self) {
        let trouble = self.mirror.as_ref().and_then(|mirror| remedy::trouble(mirror, self.now()));
        let (title, severity) = trouble.map_or((String::new(), Severity::Sev3), |it| (it.title, it.severity));
        let at = Severity::ALL.iter().position(|known| *known == severity).unwrap_or(0);
        let fields = vec![Field::choice("severity", Severity::WORDS, at), Field::text("title", &title)];
        let form = Form::new("declare an incident", Purpose::Declare, fields)
            .about(["The clocks count from the last healthy reading before the failure.".to_owned()])
            .said(format!(
                "declared → {} arms, {} runs a plan",
                keymap::key(Action::Arm),
                keymap::key(Action::RunPlan)
            ));
        let ask = Ask::Declare { title: "-".into(), severity, drill: false };
        self.push_if(&ask, Layer::Form(Box::new(form)));
    }

    /// The review over everything else, with where its files are.
    pub(super) fn show_report(&mut self, documents: &Documents) {
        let files = match documents.files.as_slice() {
            [] => "It is written to the records when the incident closes; now: mayday report --format html --out FILE"
                .into(),
            files => format!("Files: {}", files.join(", ")),
        };
        let text = format!("{files}\n\n{}", documents.markdown);
        self.read(&format!("review of {}", documents.incident), Text::Markdown(text));
    }

    /// Asks if the rules would let it through; says why not otherwise.
    pub(super) fn ask_if(&mut self, ask: Ask, said: impl Into<String>) -> Vec<Request> {
        match self.may(&ask) {
            Ok(()) => self.ask(ask, said),
            Err(refusal) => {
                self.say(Role::Warn, refusal.to_string());
                Vec::new()
            }
        }
    }

    fn about_incident(&mut self, action: Action) {
        let reason = || Field::text("reason", "");
        let (ask, form) = match action {
            Action::Note => {
                let form = Form::new("note", Purpose::Note, vec![Field::text("note", "")]).said("noted");
                (Ask::Note { text: "-".into() }, form)
            }
            Action::CloseIncident => {
                let form = self.closing();
                (Ask::CloseIncident { note: "-".into(), despite: "-".into(), tell: false }, form)
            }
            Action::SetSeverity => {
                let form = super::tell::severity_form();
                (Ask::SetSeverity { severity: Severity::Sev1, reason: "-".into() }, form)
            }
            _ => {
                let Some(run) = self.run().map(|run| run.id.clone()) else {
                    self.say(Role::Dim, format!("nothing was run yet → {} runs a plan", keymap::key(Action::RunPlan)));
                    return;
                };
                let form = Form::new(format!("abandon {run}"), Purpose::Abandon(run.clone()), vec![reason()])
                    .about(["Steps that were done stay done; nothing more of this run starts.".to_owned()])
                    .dangerous()
                    .said("the run is abandoned");
                (Ask::Abandon { run, reason: "-".into() }, form)
            }
        };
        self.push_if(&ask, Layer::Form(Box::new(form)));
    }

    /// The whole run is taken back behind one typed phrase.
    fn revert_run(&mut self) {
        let Some(run) = self.run().cloned() else {
            return self.say(Role::Dim, "nothing was run yet → r runs a plan");
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
    fn bring_back(&mut self) {
        let ask = Ask::StartRun { plan: FAILBACK.into(), mode: self.mode(), reason: String::new(), unattended: false };
        let lines = vec!["Made from what the failover did. Nothing may be lost, and every gate asks.".to_owned()];
        let question =
            Question { title: "fail back".into(), lines, ask: ask.clone(), said: "the way back has begun".into() };
        self.push_if(&ask, Layer::Question(question));
    }

    /// A drill's incident is met by drills.
    fn mode(&self) -> Mode {
        let incident = self.mirror.as_ref().and_then(|mirror| mirror.state.incident.as_ref());
        if incident.is_some_and(|incident| incident.drill) { Mode::Drill } else { Mode::Live }
    }

    fn choose_plan(&mut self, at: Option<usize>) {
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

    fn start(&mut self, mode: Mode) -> Vec<Request> {
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
    fn show_run(&mut self) {
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

    fn submit(&mut self) -> Vec<Request> {
        if let Some(Layer::Form(form)) = self.layers.last()
            && form.purpose.reaches_people()
            && form.is_at_end()
            && !self.typing.is_settled()
        {
            self.say(Role::Warn, "not sent: the form has only just opened → look at it, then press Enter again");
            return Vec::new();
        }
        match self.layers.last_mut() {
            Some(Layer::Form(form)) => match form.submit() {
                Err(wrong) => self.say(Role::Warn, wrong),
                Ok(None) => {}
                Ok(Some(values)) => {
                    let (ask, said) = (form.purpose.ask(&values), form.said.clone());
                    self.layers.pop();
                    let Some(ask) = ask else { return Vec::new() };
                    match ask {
                        Ask::Confirm { .. } | Ask::Override { .. } => self.close_card(),
                        Ask::StartRun { .. } => self.show_run(),
                        _ => {}
                    }
                    return self.ask(ask, said);
                }
            },
            Some(Layer::Palette(palette)) => {
                let at = palette.at;
                let chosen = self.palette().and_then(|palette| palette.found(self).into_iter().nth(at));
                self.layers.pop();
                return chosen.map(|item| self.do_item(item.does)).unwrap_or_default();
            }
            _ => {}
        }
        Vec::new()
    }

    fn palette(&self) -> Option<&Palette> {
        match self.layers.last() {
            Some(Layer::Palette(palette)) => Some(palette),
            _ => None,
        }
    }

    fn do_item(&mut self, does: Does) -> Vec<Request> {
        match does {
            Does::Act(action) => return self.act(action, ""),
            Does::Theme(name) => self.switch_theme(&name),
            Does::Pane(pane) => self.focus_on(pane),
            Does::Plan(at) => self.choose_plan(Some(at)),
        }
        Vec::new()
    }

    fn in_form(&mut self, action: Action) {
        let Some(Layer::Form(form)) = self.layers.last_mut() else { return };
        match action {
            Action::NextField => form.step(1),
            Action::PreviousField => form.step(-1),
            Action::Less => form.choose(-1),
            _ => form.choose(1),
        }
    }

    /// Moves in whatever is on top.
    pub(super) fn go(&mut self, by: isize) {
        if let Some(layer) = self.layers.last() {
            if let Some(scroll) = layer.scroll() {
                scroll.by(by);
                return;
            }
            let found = self.palette().map_or(0, |palette| palette.found(self).len());
            let plans = self.mirror.as_ref().map_or(0, |mirror| mirror.plans.len());
            match self.layers.last_mut() {
                Some(Layer::Plans(list)) => list.at = moved(list.at, by, plans),
                Some(Layer::Palette(palette)) => palette.at = moved(palette.at, by, found),
                _ => {}
            }
            return;
        }
        match (self.focus, self.shown_run()) {
            (Pane::Plan, Some(run)) => {
                let ids: Vec<StepId> = super::panes::plan::order(run);
                let at = self.step().and_then(|step| ids.iter().position(|id| *id == step)).unwrap_or(0);
                self.selected = ids.get(moved(at, by, ids.len())).cloned();
                self.scrolls[Pane::Step as usize].to(0);
            }
            (Pane::Plan, None) => {
                let plans = self.mirror.as_ref().map_or(0, |mirror| mirror.plans.len());
                self.plan_at = moved(self.plan_at, by, plans);
            }
            (pane, _) => self.scrolls[pane as usize].by(by),
        }
    }

    fn back(&mut self) -> Vec<Request> {
        if self.layers.is_empty()
            && let Some(recall) = self.recall()
        {
            return recall;
        }
        if let Some(Layer::Tell(tell)) = self.layers.last_mut()
            && tell.is_editing()
        {
            tell.drop_edit();
            return Vec::new();
        }
        if let Some(layer) = self.layers.pop() {
            if matches!(&layer, Layer::Form(form) if form.purpose == Purpose::Filter) {
                self.filter = None;
            }
        } else if self.filter.take().is_some() {
        } else if self.zoomed {
            self.zoomed = false;
        } else if self.selected.take().is_none() {
            let detach = keymap::key(Action::Detach);
            self.say(Role::Dim, format!("nothing to step back from → {detach} detaches; the engine and a run go on"));
        }
        Vec::new()
    }

    pub(super) fn open(&mut self) {
        let waiting = self.waiting();
        let chosen = self.focus == Pane::Plan || self.focus == Pane::Step || self.selected.is_some();
        let step = if chosen { self.step() } else { waiting.first().cloned().or_else(|| self.step()) };
        match step {
            Some(step) => self.layers.push(Layer::Card(Card { step, scroll: Scroll::default() })),
            None if self.focus == Pane::Plan => self.choose_plan(None),
            None => {
                let run = keymap::key(Action::RunPlan);
                self.say(Role::Dim, format!("no step waits, and no plan is running → {run} runs one"));
            }
        }
    }

    fn next_waiting(&mut self) {
        let waiting = self.waiting();
        let at = self.step().and_then(|step| waiting.iter().position(|id| *id == step));
        let Some(next) = waiting.get(at.map_or(0, |at| (at + 1) % waiting.len())).cloned() else {
            self.say(Role::Good, "nothing waits for you");
            return;
        };
        if let Some(Layer::Card(card)) = self.layers.last_mut() {
            *card = Card { step: next, scroll: Scroll::default() };
        } else {
            (self.selected, self.focus) = (Some(next), Pane::Plan);
        }
    }

    pub(super) fn focus_on(&mut self, pane: Pane) {
        self.focus = pane;
        if self.shares_a_place(pane) {
            self.asked_aside = Some(pane);
        }
    }

    fn filter(&mut self) {
        let known = self.filter.take().filter(|(pane, _)| *pane == self.focus).map(|(_, text)| text);
        let text = known.unwrap_or_default();
        let form = Form::new(format!("filter {}", self.focus), Purpose::Filter, vec![Field::optional("show", &text)]);
        self.filter = Some((self.focus, text));
        self.layers.push(Layer::Form(Box::new(form)));
    }

    /// A filter counts while it is being typed.
    pub(super) fn filter_live(&mut self) {
        if let Some(Layer::Form(form)) = self.layers.last()
            && form.purpose == Purpose::Filter
        {
            let text = form.fields[0].value();
            self.filter = (!text.is_empty()).then_some((self.focus, text));
        }
    }

    fn read(&mut self, title: &str, text: Text) {
        self.layers.push(Layer::Reader(Reader { title: title.to_owned(), text, scroll: Scroll::default() }));
    }

    fn switch_theme(&mut self, name: &str) {
        match self.options.themes.load(name, self.options.depth) {
            Ok(theme) => {
                self.say(Role::Dim, format!("theme {}", theme.name));
                self.theme = theme;
            }
            Err(why) => self.say(Role::Bad, why),
        }
    }

    fn by_hand(&mut self) -> Vec<Request> {
        let Some((run, spec)) = self.target() else { return Vec::new() };
        vec![Request::ByHand { step: spec.id.clone(), plan: run.plan.id.clone() }]
    }

    pub(super) fn show_by_hand(&mut self, step: &StepId, steps: &[StepByHand]) {
        let Some(found) = steps.iter().find(|known| &known.step == step) else {
            self.say(Role::Warn, format!("the engine knows no commands for {step}"));
            return;
        };
        let mut text = vec![format!("# {}", found.title)];
        text.extend(found.lines.iter().cloned());
        let done = keymap::key(Action::MarkDone);
        text.extend([String::new(), format!("# done? then {done} marks the step done, with a reason")]);
        let run = self.shown_run();
        let open = |known: &&StepByHand| run.is_none_or(|run| !run.phase(&known.step).is_in_effect());
        let rest = steps.iter().skip_while(|known| &known.step != step).skip(1).filter(open);
        text.extend(rest.flat_map(|known| {
            let title = [String::new(), format!("# Later, {}: {}", known.step, known.title)];
            title.into_iter().chain(known.lines.iter().cloned())
        }));
        let reader = Reader { title: format!("{step} by hand"), text: Text::Plain(text), scroll: Scroll::default() };
        self.layers.push(Layer::Reader(reader));
    }

    fn copy(&mut self) -> Vec<Request> {
        let Some(snap) = &self.mirror else { return Vec::new() };
        let look = Look { app: self, snap, now: self.now() };
        let (what, text) = match self.layers.last() {
            Some(layer) => ("this", layer.text(&look)),
            None => (self.focus.word(), self.focus.text(&look)),
        };
        if text.is_empty() {
            self.say(Role::Dim, "there is nothing to copy here");
            return Vec::new();
        }
        let said =
            format!("{what}: {} lines copied to your terminal's clipboard, if it allows that", text.lines().count());
        self.say(Role::Good, said);
        vec![Request::Copy(text)]
    }
}

/// An index moved within a list, stopping at its ends.
fn moved(at: usize, by: isize, len: usize) -> usize {
    at.saturating_add_signed(by).min(len.saturating_sub(1))
}
