#![no_main]

use model::{Labels, LabelsBuilder};
use relabel::{NameScheme, Rule, RuleSpec};

// A rule, a key a line, then labels, `name=value` a line: whatever it does, it does again to equal labels.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut spec = RuleSpec::default();
    let mut labels = Vec::new();
    for line in text.split('\n') {
        match line.split_once(": ") {
            Some(("source_labels", names)) => {
                spec.source_labels = Some(names.split(',').map(str::to_owned).collect());
            }
            Some(("separator", text)) => spec.separator = Some(text.to_owned()),
            Some(("regex", text)) => spec.regex = Some(text.to_owned()),
            Some(("modulus", text)) => spec.modulus = text.parse().ok(),
            Some(("target_label", text)) => spec.target_label = Some(text.to_owned()),
            Some(("replacement", text)) => spec.replacement = Some(text.to_owned()),
            Some(("action", text)) => spec.action = Some(text.to_owned()),
            _ => labels.extend(line.split_once('=')),
        }
    }
    for scheme in [NameScheme::Utf8, NameScheme::Legacy] {
        let Ok(rule) = Rule::new(spec.clone(), scheme) else { continue };
        let outcomes = [(); 2].map(|()| {
            let mut builder = LabelsBuilder::from_labels(&Labels::from_pairs(labels.iter().copied()));
            (rule.apply(&mut builder), builder.build().to_string())
        });
        assert_eq!(outcomes[0], outcomes[1]);
    }
});
