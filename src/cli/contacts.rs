//! `mayday contacts`: whom to call.

use super::text::{clock, table};
use crate::domain::time::seconds_between;
use crate::domain::view::Snapshot;

/// For programs.
pub fn json(view: &Snapshot) -> serde_json::Value {
    let contacts = &view.estate.contacts;
    serde_json::json!({
        "on_call": view.live.on_call, "escalation": contacts.escalation, "aws_support": contacts.support,
    })
}

/// For people.
pub fn text(view: &Snapshot) -> String {
    let (contacts, live) = (&view.estate.contacts, &view.live.on_call);
    if contacts.is_empty() {
        return "No contacts are known → add [contacts] to the config.\n".into();
    }
    let or = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut rows = Vec::new();
    for person in &live.people {
        let until = person.until.map_or_else(String::new, |at| format!("until {}", at.strftime("%H:%M UTC")));
        let level = format!("on call, level {}", person.level);
        rows.push(vec![level, person.name.clone(), or(&person.phone), until, or(&person.link)]);
    }
    for (contact, nth) in contacts.escalation.iter().zip(1..) {
        let row = vec![format!("escalation {nth}"), contact.name.clone(), or(&contact.phone), or(&contact.role)];
        rows.push(row.into_iter().chain([or(&contact.link)]).collect());
    }
    if let Some(support) = &contacts.support {
        let account = support.account.as_ref().map_or_else(String::new, |account| format!("account {account}"));
        rows.push(vec!["AWS support".into(), support.plan.clone(), or(&support.phone), account, or(&support.link)]);
    }
    let mut out = table(&["", "who", "phone", "", "link"], &rows);
    if contacts.pagerduty.is_some() {
        let age = live.at.map(|at| clock(seconds_between(at, view.now)));
        let words = match (age, &live.fault) {
            (Some(age), None) => format!("On call as PagerDuty said {age} ago."),
            (Some(age), Some(fault)) => format!("On call as PagerDuty said {age} ago; since then: {fault}"),
            (None, Some(fault)) => format!("Who is on call is unknown: {fault}"),
            (None, None) => "PagerDuty was not asked yet.".into(),
        };
        out += &format!("\n{words}\n");
    }
    out
}
