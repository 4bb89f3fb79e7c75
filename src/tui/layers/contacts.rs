//! Whom to call: who is on call now, who is next, and who helps from outside; with the age of what is said.

use ratatui::text::Line;

use super::super::format::{age, column, fit, width, wrap};
use super::super::look::Look;
use super::super::theme::Role;
use super::heading;

const WHO: usize = 24;

pub fn lines(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let (contacts, live) = (&look.snap.estate.contacts, &look.snap.live.on_call);
    let mut lines = Vec::new();
    if contacts.pagerduty.is_some() {
        lines.push(heading(look, "on call"));
        lines.extend(live.people.iter().flat_map(|person| {
            let until = person.until.map_or_else(String::new, |at| format!("until {}", look.time_of_day(at)));
            let who = format!("{}. {}", person.level, person.name);
            row(look, &who, person.phone.as_deref(), &until, person.link.as_deref(), columns)
        }));
        lines.push(seen(look, columns));
        lines.push(Line::default());
    }
    if !contacts.escalation.is_empty() {
        lines.push(heading(look, "when nobody answers"));
        for (contact, nth) in contacts.escalation.iter().zip(1..) {
            let (who, role) = (format!("{nth}. {}", contact.name), contact.role.as_deref().unwrap_or_default());
            lines.extend(row(look, &who, contact.phone.as_deref(), role, contact.link.as_deref(), columns));
        }
        lines.push(Line::default());
    }
    if let Some(support) = &contacts.support {
        lines.push(heading(look, "AWS support"));
        let account = support.account.as_ref().map_or_else(String::new, |account| format!("account {account}"));
        lines.push(Line::from(look.span(format!("  {}", fit(&support.plan, columns.saturating_sub(2))), Role::Text)));
        lines.extend(row(look, "", support.phone.as_deref(), &account, support.link.as_deref(), columns));
    }
    if lines.is_empty() {
        lines.push(Line::from(look.span("Nobody is known: add [contacts] to the config.", Role::Unknown)));
    }
    lines
}

/// A number to call, and below it a link: neither is ever cut.
fn row(
    look: &Look<'_>,
    who: &str,
    phone: Option<&str>,
    more: &str,
    link: Option<&str>,
    columns: usize,
) -> Vec<Line<'static>> {
    let rest = columns.saturating_sub(2 + WHO + 1 + 16);
    let mut lines = vec![Line::from(vec![
        look.span(format!("  {} ", column(who, WHO)), Role::Strong),
        look.span(column(phone.unwrap_or("no number"), 16), if phone.is_some() { Role::Key } else { Role::Unknown }),
        look.span(fit(more, rest).into_owned(), Role::Dim),
    ])];
    let indent = if columns < 2 + WHO + 1 + link.map_or(0, width) { 4 } else { 2 + WHO + 1 };
    let links = link.into_iter().flat_map(|link| wrap(link, columns.saturating_sub(indent)));
    lines.extend(links.map(|link| Line::from(look.span(format!("{}{link}", " ".repeat(indent)), Role::Faint))));
    lines
}

fn seen(look: &Look<'_>, columns: usize) -> Line<'static> {
    let live = &look.snap.live.on_call;
    let old = live.at.map(|at| age(look.since(at)));
    let (words, role) = match (old, &live.fault) {
        (Some(old), None) => (format!("  as PagerDuty said {old} ago"), Role::Faint),
        (Some(old), Some(fault)) => (format!("  as PagerDuty said {old} ago; since then: {fault}"), Role::Warn),
        (None, Some(fault)) => (format!("  ? {fault}"), Role::Unknown),
        (None, None) => ("  ? PagerDuty was not asked yet".to_owned(), Role::Unknown),
    };
    Line::from(look.span(fit(&words, columns).into_owned(), role))
}
