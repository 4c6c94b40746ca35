//! Alerts and groups as the API shows them, written as text at once: an answer may have a hundred thousand.

use model::Labels;

use crate::alert::Fingerprint;
use crate::dispatch::{AlertView, GroupView};
use crate::times::TimeWriter;

/// What an alert takes beside its texts, about.
const ALERT_BYTES: usize = 512;

/// A list of alerts.
pub(super) fn alerts(views: &[AlertView]) -> Vec<u8> {
    let mut page = Page::for_alerts(views);
    page.alerts(views);
    page.out
}

/// A list of groups.
pub(super) fn groups(groups: &[GroupView]) -> Vec<u8> {
    let mut page = Page::for_alerts(groups.iter().flat_map(|group| &group.alerts));
    page.list(groups, |page, group| {
        page.raw("{\"labels\":");
        page.labels(&group.labels);
        page.raw(",\"routeLabels\":");
        page.pairs(group.route_labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        page.raw(",\"receiver\":{\"name\":");
        page.text(&group.receiver);
        page.raw("},\"alerts\":");
        page.alerts(&group.alerts);
        page.raw("}");
    });
    page.out
}

/// An answer that is being written.
struct Page {
    out: Vec<u8>,
    times: TimeWriter,
}

impl Page {
    /// With room for these alerts, so that it need not be moved while it grows.
    fn for_alerts<'v>(views: impl IntoIterator<Item = &'v AlertView>) -> Self {
        let bytes = |view: &AlertView| {
            let alert = &view.alert;
            let sets = [&alert.labels, &alert.annotations];
            // Each pair has six characters around it.
            let texts: usize = sets.iter().map(|set| set.heap_bytes()).sum();
            ALERT_BYTES + texts + alert.generator_url.len()
        };
        let room = views.into_iter().map(bytes).sum::<usize>();
        Self { out: Vec::with_capacity(2 + room), times: TimeWriter::new() }
    }

    fn alerts(&mut self, views: &[AlertView]) {
        self.list(views, Self::alert);
    }

    fn alert(&mut self, view: &AlertView) {
        let alert = &view.alert;
        self.raw("{\"annotations\":");
        self.labels(&alert.annotations);
        self.raw(",\"endsAt\":\"");
        self.times.push(&mut self.out, alert.ends_at);
        self.raw("\",\"fingerprint\":");
        self.fingerprint(&alert.fingerprint);
        self.raw(",\"receivers\":");
        self.list(&view.receivers, |page, name| {
            page.raw("{\"name\":");
            page.text(name);
            page.raw("}");
        });
        self.raw(",\"startsAt\":\"");
        self.times.push(&mut self.out, alert.starts_at);
        self.raw("\",\"status\":{\"inhibitedBy\":");
        self.list(&view.inhibited_by, Self::fingerprint);
        self.raw(",\"mutedBy\":");
        self.list(&view.muted_by, |page, name| page.text(name));
        self.raw(",\"silencedBy\":");
        self.list(&view.silenced_by, |page, id| page.text(id));
        self.raw(",\"state\":\"");
        self.raw(if view.is_suppressed() { "suppressed" } else { "active" });
        self.raw("\"},\"updatedAt\":\"");
        self.times.push(&mut self.out, alert.updated_at);
        self.raw("\",\"labels\":");
        self.labels(&alert.labels);
        if !alert.generator_url.is_empty() {
            self.raw(",\"generatorURL\":");
            self.text(&alert.generator_url);
        }
        self.raw("}");
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.raw("[");
        for (no, item) in items.iter().enumerate() {
            if no > 0 {
                self.raw(",");
            }
            write(self, item);
        }
        self.raw("]");
    }

    fn labels(&mut self, labels: &Labels) {
        self.pairs(labels.iter());
    }

    fn pairs<'p>(&mut self, pairs: impl Iterator<Item = (&'p str, &'p str)>) {
        self.raw("{");
        for (no, (name, value)) in pairs.enumerate() {
            if no > 0 {
                self.raw(",");
            }
            self.text(name);
            self.raw(":");
            self.text(value);
        }
        self.raw("}");
    }

    /// 16 hexadecimal digits in quotes.
    fn fingerprint(&mut self, fingerprint: &Fingerprint) {
        let digit = |shift: u32| b"0123456789abcdef"[(fingerprint.0 >> (60 - shift * 4) & 0xf) as usize];
        let digits: [u8; 16] = std::array::from_fn(|no| digit(no as u32));
        self.raw("\"");
        self.out.extend_from_slice(&digits);
        self.raw("\"");
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A text in quotes.
    fn text(&mut self, text: &str) {
        let has_escapes =
            text.bytes().fold(false, |found, byte| found | (byte < b' ') | (byte == b'"') | (byte == b'\\'));
        if has_escapes {
            return self.escaped(text);
        }
        self.raw("\"");
        self.raw(text);
        self.raw("\"");
    }

    fn escaped(&mut self, text: &str) {
        // Neither a text nor a writer to memory fails.
        serde_json::to_writer(&mut self.out, text).expect("a text can always be written to memory");
    }
}

#[cfg(test)]
mod tests;
