//! The headline: which region, how bad, how far, and how long is left. It is what the eye meets first, and the last that is cut.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::domain::health::Status;
use crate::domain::ids::RegionId;
use crate::domain::incident::{Incident, Severity};
use crate::domain::run::Mode;
use crate::domain::verdict::{self, RtoVerdict};

use super::super::format::{clock, fit_name};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::super::widgets::row::{Piece, cut_line};
use super::header::standing;

/// What gives way to what in the first row: the lower, the later it is left out.
pub mod rank {
    pub const REGION: usize = 0;
    pub const SEVERITY: usize = 1;
    pub const LEFT: usize = 2;
    /// That it is no earnest: a rehearsal, a drill.
    pub const PRACTICE: usize = 3;
    /// HOLD, an engine that is lost, a clock that is off.
    pub const ALARM: usize = 4;
    pub const ARMED: usize = 5;
    pub const UPDATE: usize = 6;
    /// That nobody else will be woken.
    pub const PAGE: usize = 7;
    /// That what runs is in earnest.
    pub const LIVE_RUN: usize = 8;
    pub const PHASE: usize = 9;
    /// Whose clock it is: the rows below say it, too.
    pub const TIER: usize = 10;
    pub const OTHERS: usize = 11;
    pub const LIVE: usize = 12;
    pub const ID: usize = 13;
    pub const NAME: usize = 14;
    pub const TITLE: usize = 15;
}

/// No name of a region is longer than the longest of a cloud's; what is made up may be.
const REGION: usize = 20;
/// Less of a title says nothing.
const TITLE: usize = 12;

/// How a region is: the words after its name, from long to short, and how they are meant.
fn region(look: &Look<'_>, id: &RegionId, serves: bool) -> (Vec<String>, Status) {
    let (status, some) = look.snap.whole(id, look.now);
    let word = mark::status(status).word;
    let words = match (status, some) {
        (Status::Healthy, _) if serves => vec!["serves".into()],
        (_, Some((count, all))) => vec![format!("{count} of {all} {word}"), format!("{count}/{all} {word}")],
        (_, None) => vec![word.into()],
    };
    (words, status)
}

fn badge(look: &Look<'_>, bar: Style, status: Status) -> Style {
    match status {
        Status::Down => look.style(Role::BadgeBad),
        Status::Degraded => look.style(Role::BadgeWarn),
        Status::Unknown => look.style(Role::BadgeCalm),
        Status::Healthy => bar.patch(look.style(Role::Strong)),
    }
}

/// ` us-east-1 DOWN `, in every length.
fn region_piece(look: &Look<'_>, bar: Style, id: &RegionId, serves: bool) -> (Piece, Status) {
    let (words, status) = region(look, id, serves);
    let style = badge(look, bar, status);
    let name = fit_name(id.as_str(), REGION);
    let mut forms = words.iter().map(|words| Span::styled(format!(" {name} {words} "), style));
    let first = Piece::from(forms.next().unwrap_or_default());
    (forms.fold(first, |piece, shorter| piece.or(shorter)), status)
}

/// The headline of the first row: in peace the regions alone.
pub fn pieces(look: &Look<'_>, bar: Style) -> Vec<Piece> {
    let serving = look.snap.state.serving(&look.snap.estate);
    let mut out = vec![region_piece(look, bar, &serving, true).0.rank(rank::REGION).stays()];
    let earnest = earnest(look);
    let badge = |earnest: Earnest| {
        let (word, role, rank) = match earnest {
            Earnest::Live => (" LIVE RUN ", Role::BadgeArmed, rank::LIVE_RUN),
            practice => (practice.badge(), Role::BadgeCalm, rank::PRACTICE),
        };
        Piece::from(Span::styled(word, look.style(role))).rank(rank)
    };
    let mut badge = earnest.map(badge);
    let incident = look.snap.state.incident.as_ref();
    if let Some(incident) = incident {
        let style = severity(look, incident.severity);
        let word = Span::styled(format!(" {} ", incident.severity.word().to_uppercase()), style);
        out.push(Piece::from(word).rank(rank::SEVERITY).stays());
        out.extend(badge.take());
        let phase = Span::styled(format!(" {}", incident.phase), bar.patch(look.style(Role::Accent)));
        out.push(Piece::from(phase).rank(rank::PHASE));
        out.extend(left(look, bar, incident));
    }
    // A rehearsal in peace.
    out.extend(badge);
    let others = look.snap.estate.regions.iter().filter(|region| region.id != serving);
    out.extend(others.filter_map(|other| {
        let (piece, status) = region_piece(look, bar, &other.id, false);
        (status == Status::Down).then(|| piece.rank(rank::OTHERS))
    }));
    if let Some(incident) = incident {
        let id = incident.id.as_str();
        let short = match (id.split_once('-'), id.rsplit_once('-')) {
            (Some((first, _)), Some((_, last))) => format!("{first}-…-{last}"),
            _ => id.to_owned(),
        };
        let strong = bar.patch(look.style(Role::Strong));
        let long = Span::styled(format!("  {id}"), strong);
        out.push(Piece::from(long).or(Span::styled(format!("  {short}"), strong)).rank(rank::ID));
        out.push(Piece::from(Span::styled(format!("  {}", incident.title), bar)).rank(rank::TITLE).cut_to(TITLE));
    }
    out
}

/// Whether what is under way changes anything, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Earnest {
    Rehearsal,
    Drill,
    Live,
}

impl Earnest {
    fn badge(self) -> &'static str {
        match self {
            Self::Rehearsal => " REHEARSAL ",
            Self::Drill => " DRILL ",
            Self::Live => " LIVE RUN ",
        }
    }
}

/// What an open run is; where none is open, whether the incident is practice.
fn earnest(look: &Look<'_>) -> Option<Earnest> {
    let drill = look.snap.state.incident.as_ref().is_some_and(|incident| incident.drill);
    match look.app.run().filter(|run| run.is_open()).map(|run| run.mode) {
        Some(Mode::Rehearsal) => Some(Earnest::Rehearsal),
        Some(Mode::Drill) => Some(Earnest::Drill),
        Some(Mode::Live) => Some(if drill { Earnest::Drill } else { Earnest::Live }),
        None => drill.then_some(Earnest::Drill),
    }
}

fn severity(look: &Look<'_>, severity: Severity) -> Style {
    look.style(match severity {
        Severity::Sev1 | Severity::Sev2 => Role::BadgeBad,
        Severity::Sev3 | Severity::Sev4 => Role::BadgeWarn,
    })
}

/// The tier whose clock matters most: the first that is not recovered.
pub fn urgent(look: &Look<'_>, incident: &Incident) -> Option<RtoVerdict> {
    let mut verdicts = verdict::rto(&look.snap.estate, incident, look.now);
    let at = verdicts.iter().position(|verdict| !verdict.recovered).unwrap_or(0);
    (at < verdicts.len()).then(|| verdicts.swap_remove(at))
}

/// `3:31 left`, `OVER 0:12`, `recovered in 4:31`
fn words(verdict: &RtoVerdict) -> String {
    let Some(elapsed) = verdict.elapsed else { return "RTO unknown".into() };
    match (verdict.recovered, verdict.target - elapsed) {
        (true, _) => format!("recovered in {}", clock(elapsed)),
        (false, left) if left >= 0.0 => format!("{} left", clock(left)),
        (false, left) => format!("OVER {}", clock(-left)),
    }
}

/// `· critical 3:31 left`
fn left(look: &Look<'_>, bar: Style, incident: &Incident) -> Vec<Piece> {
    let Some(verdict) = urgent(look, incident) else { return Vec::new() };
    let style = bar.patch(look.style(standing(&verdict).2));
    let piece = |text: String, style, rank| Piece::from(Span::styled(text, style)).rank(rank);
    vec![
        piece(" ·".into(), bar.patch(look.style(Role::Dim)), rank::LEFT).stays(),
        piece(format!(" {}", verdict.tier), style, rank::TIER),
        piece(format!(" {} ", words(&verdict)), style, rank::LEFT).stays(),
    ]
}

/// What a screen shows on which nothing else has room: a line each.
pub fn tiny(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let serving = look.snap.state.serving(&look.snap.estate);
    let (said, status) = region(look, &serving, true);
    let shown = |text: String, style: Style| cut_line(Line::from(Span::styled(text, style)), columns);
    let name = |words: &str| fit_name(serving.as_str(), columns.saturating_sub(words.len() + 1)).into_owned();
    let screen = look.style(Role::Screen);
    let word = said.last().cloned().unwrap_or_default();
    let mut lines = vec![shown(format!("{} {word}", name(&word)), badge(look, screen, status))];
    match &look.snap.state.incident {
        Some(incident) => {
            let verdict = urgent(look, incident);
            lines.extend(verdict.map(|it| shown(words(&it), look.style(standing(&it).2))));
            let practice = earnest(look).filter(|it| *it != Earnest::Live).map_or("", Earnest::badge).trim_end();
            let text = format!("{}{practice} {}", incident.severity.word().to_uppercase(), incident.phase);
            lines.push(shown(text, look.style(Role::Text)));
        }
        None => lines.push(shown("no incident".into(), look.style(Role::Text))),
    }
    lines
}
