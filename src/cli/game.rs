//! `mayday drill game`: the score card.

use super::text::{length, length_or_unknown, loss, table};
use crate::domain::scorecard::ScoreCard;

/// For people: what happened, how it went, and what it cost. `pace` is what to know of its lengths of time.
pub fn text(seed: u64, happened: &str, card: &ScoreCard, pace: Option<&str>) -> String {
    let moments = [
        ("from the failure to the first probe that said so", card.detect),
        ("from there to the declaration", card.declare),
        ("from there to the first change", card.act),
    ];
    let mut rows: Vec<Vec<String>> =
        moments.iter().map(|(what, seconds)| vec![(*what).to_owned(), length_or_unknown(*seconds)]).collect();
    rows.extend(card.rto.iter().map(|it| {
        let took = it.elapsed.filter(|_| it.recovered);
        vec![format!("RTO {}, {} allowed", it.tier, length(it.target)), length_or_unknown(took)]
    }));
    rows.extend(
        card.rpo.iter().map(|it| vec![format!("RPO {}, {} allowed", it.class, length(it.target)), loss(it.loss)]),
    );
    rows.push(vec!["promised updates that came in time".into(), format!("{} of {}", card.on_time, card.promised)]);
    let mut out = format!("Game day {seed}: what happened\n");
    happened.lines().for_each(|line| out += &format!("  {line}\n"));
    out += &format!("\n{}\n{} of 100 points\n", table(&["", ""], &rows).trim_start(), card.points);
    for it in &card.deductions {
        out += &format!("  -{:<3} {}\n", it.points, it.why);
    }
    if let Some(word) = pace {
        out += &format!("\n{word}\n");
    }
    out + &format!("\nThe same day again: mayday drill game --seed {seed}\n")
}
