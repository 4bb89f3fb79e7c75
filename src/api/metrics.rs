//! What the team's own monitoring scrapes, in the Prometheus text format: freshness, exposure, readiness, clocks.
//! What is unknown has no sample; it is never zero.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::fmt::{Display, Write};

use crate::domain::backup::Worth;
use crate::domain::estate::{DataClass, Tier};
use crate::domain::health::Status;
use crate::domain::readiness::Ready;
use crate::domain::rollup::said;
use crate::domain::time::At;
use crate::domain::verdict;
use crate::domain::view::Snapshot;

/// One metric: its name, what it is for, and where its samples come from.
struct Metric {
    name: &'static str,
    help: &'static str,
    samples: fn(&Snapshot, &mut Samples<'_>),
}

/// Every metric; all are gauges.
const METRICS: &[Metric] = &[
    Metric {
        name: "mayday_probe_up",
        help: "1 when the target serves, if only just, 0 when it is down; no sample while that is unknown",
        samples: probes_up,
    },
    Metric {
        name: "mayday_probe_read_timestamp_seconds",
        help: "When the probe was last read",
        samples: |view, out| {
            for (id, live) in &view.live.probes {
                out.add(&[("probe", id)], seconds(live.at));
            }
        },
    },
    Metric {
        name: "mayday_recovery_point_timestamp_seconds",
        help: "The newest moment of a datastore that would survive the loss of the serving region",
        samples: |view, out| {
            for store in view.estate.datastores() {
                let known = view.live.surveys.get(&store.id).and_then(|it| it.survey.standby_point.as_ref());
                if let Some(point) = known {
                    out.add(&[("store", &store.id)], seconds(point.at));
                }
            }
        },
    },
    Metric {
        name: "mayday_rpo_exposure_seconds",
        help: "What would be lost of a data class if the serving region vanished now, its worst datastore counting",
        samples: |view, out| {
            for class in DataClass::ALL {
                if let Some(lost) = view.exposure(*class, view.now) {
                    out.add(&[("class", class)], lost);
                }
            }
        },
    },
    Metric {
        name: "mayday_rpo_target_seconds",
        help: "What may be lost of a data class",
        samples: |view, out| {
            for (class, span) in &view.estate.objectives.rpo {
                out.add(&[("class", class)], span.as_secs_f64());
            }
        },
    },
    Metric {
        name: "mayday_restore_exposure_seconds",
        help: "What would be lost of a data class if it had to be restored from its newest copies",
        samples: |view, out| {
            for class in DataClass::ALL {
                if let Some(lost) = view.restore_exposure(*class, view.now) {
                    out.add(&[("class", class)], lost);
                }
            }
        },
    },
    Metric {
        name: "mayday_backup_point_timestamp_seconds",
        help: "The newest moment that can be restored from a backup",
        samples: |view, out| {
            for (spec, judged) in view.backups(view.now) {
                if let Some(point) = judged.point {
                    out.add(&[("backup", &spec.id)], seconds(point));
                }
            }
        },
    },
    Metric {
        name: "mayday_backup_max_age_seconds",
        help: "How old the newest good copy of a backup may be",
        samples: |view, out| {
            for spec in &view.estate.backups {
                if let Some(allowed) = spec.max_age {
                    out.add(&[("backup", &spec.id)], allowed.as_secs_f64());
                }
            }
        },
    },
    Metric {
        name: "mayday_backup_fresh",
        help: "1 when a backup is as it should be, 0 when not; no sample while that is unknown",
        samples: |view, out| {
            for (spec, judged) in view.backups(view.now) {
                if judged.worth != Worth::Unknown {
                    out.add(&[("backup", &spec.id)], f64::from(u8::from(judged.worth == Worth::Fresh)));
                }
            }
        },
    },
    Metric {
        name: "mayday_readiness_score",
        help: "How much of what a plan depends on was as it should be, of 100",
        samples: |view, out| {
            for (plan, (_, brief)) in view.state.readiness_by_plan() {
                out.add(&[("plan", plan)], f64::from(brief.score));
            }
        },
    },
    Metric {
        name: "mayday_plan_ready",
        help: "1 when a plan would work, if with warnings, 0 when not; no sample while that is unknown",
        samples: |view, out| {
            for (plan, (_, brief)) in view.state.readiness_by_plan() {
                if brief.ready != Ready::Unknown {
                    out.add(&[("plan", plan)], f64::from(u8::from(brief.ready < Ready::Unknown)));
                }
            }
        },
    },
    Metric {
        name: "mayday_readiness_timestamp_seconds",
        help: "When a plan was last held against reality",
        samples: |view, out| {
            for (plan, (at, _)) in view.state.readiness_by_plan() {
                out.add(&[("plan", plan)], seconds(at));
            }
        },
    },
    Metric {
        name: "mayday_incident_open",
        help: "1 while an incident is open",
        samples: |view, out| out.add(&[], f64::from(u8::from(view.state.incident.is_some()))),
    },
    Metric {
        name: "mayday_rto_elapsed_seconds",
        help: "How long a tier has been, or was, disrupted in the open incident",
        samples: rto_elapsed,
    },
    Metric {
        name: "mayday_rto_target_seconds",
        help: "How long a tier may be disrupted",
        samples: |view, out| {
            for (tier, span) in &view.estate.objectives.rto {
                out.add(&[("tier", tier)], span.as_secs_f64());
            }
        },
    },
    Metric {
        name: "mayday_trigger_met_in_seconds",
        help: "Until a rule of the plan is met; negative once it is",
        samples: |view, out| {
            for trigger in view.triggers(view.now) {
                out.add(&[("rule", &trigger.rule)], trigger.seconds_left(view.now));
            }
        },
    },
    Metric {
        name: "mayday_hold",
        help: "1 while HOLD keeps anything new from starting",
        samples: |view, out| out.add(&[], f64::from(u8::from(view.state.hold.is_some()))),
    },
    Metric {
        name: "mayday_journal_failing",
        help: "1 while the journal cannot be written, so that nothing starts",
        samples: |view, out| out.add(&[], f64::from(u8::from(view.live.journal_fault.is_some()))),
    },
    Metric {
        name: "mayday_engine_leads",
        help: "1 while this engine leads, 0 while it follows another one; only where several share a journal",
        samples: |view, out| {
            if let Some(engines) = &view.live.engines {
                out.add(&[("engine", &engines.me)], f64::from(u8::from(engines.leads)));
            }
        },
    },
    Metric {
        name: "mayday_engines_present",
        help: "Engines that were heard of in the last seconds; only where several share a journal",
        samples: |view, out| {
            if let Some(engines) = &view.live.engines {
                out.add(&[], engines.present() as f64);
            }
        },
    },
];

fn probes_up(view: &Snapshot, out: &mut Samples<'_>) {
    for probe in &view.estate.probes {
        let up = match said(probe, &view.live.probes, view.now).status {
            Status::Healthy | Status::Degraded => 1.0,
            Status::Down => 0.0,
            Status::Unknown => continue,
        };
        let region: &dyn Display = probe.region.as_ref().map_or(&"", |region| region);
        out.add(&[("probe", &probe.id), ("subject", &probe.subject), ("region", region)], up);
    }
}

fn rto_elapsed(view: &Snapshot, out: &mut Samples<'_>) {
    let Some(incident) = &view.state.incident else { return };
    for verdict in verdict::rto(&view.estate, incident, view.now) {
        let tier: Tier = verdict.tier;
        if let Some(elapsed) = verdict.elapsed {
            out.add(&[("tier", &tier)], elapsed);
        }
    }
}

fn seconds(at: At) -> f64 {
    at.as_duration().as_secs_f64()
}

/// The samples of one metric in the making.
struct Samples<'a> {
    name: &'static str,
    out: &'a mut String,
}

impl Samples<'_> {
    fn add(&mut self, labels: &[(&str, &dyn Display)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "{}{labels} {value}", self.name);
    }
}

fn escaped(text: &dyn Display) -> String {
    text.to_string().replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// Every metric with its samples.
pub fn text(view: &Snapshot) -> String {
    let mut out = String::new();
    for Metric { name, help, samples } in METRICS {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
        samples(view, &mut Samples { name, out: &mut out });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_its_quotes() {
        let mut out = String::new();
        Samples { name: "m", out: &mut out }.add(&[("l", &"a\"b\\c\nd")], 1.5);
        assert_eq!(out, "m{l=\"a\\\"b\\\\c\\nd\"} 1.5\n");
    }

    #[test]
    fn names_are_as_prometheus_wants_them() {
        for metric in METRICS {
            assert!(metric.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", metric.name);
            assert!(metric.name.starts_with("mayday_") && !metric.help.contains('\n'), "{}", metric.name);
        }
    }
}
