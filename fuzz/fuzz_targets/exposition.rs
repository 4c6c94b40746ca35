#![no_main]

use exposition::{Entry, Format, ParseOptions, Parser};
use model::LabelsBuilder;

/// What a body says, one line an entry, and the texts of its series; where it breaks, what was said before.
fn read(
    body: &[u8],
    format: Format,
    options: ParseOptions,
    expected: &[Vec<u8>],
) -> (Vec<String>, Vec<Vec<u8>>) {
    let (mut said, mut texts) = (Vec::new(), Vec::new());
    let mut labels = LabelsBuilder::new();
    let mut parser = Parser::new(body, format, options);
    let nothing = Vec::new();
    loop {
        let hint = expected.get(texts.len()).unwrap_or(&nothing);
        match parser.next_entry_like(hint) {
            Ok(None) => break,
            Err(error) => {
                said.push(error.to_string());
                break;
            }
            Ok(Some(Entry::Metadata { family, kind })) => said.push(format!("{family} {kind:?}")),
            Ok(Some(Entry::Sample(sample))) => {
                let spelled = sample.series.labels(&mut labels).map(|()| labels.build().to_string());
                said.push(format!("{spelled:?} {} {:?}", sample.value.to_bits(), sample.timestamp));
                if let Some(exemplar) = sample.exemplar {
                    exemplar.labels.labels(&mut labels).ok();
                }
                texts.push(sample.series.as_bytes().to_vec());
            }
            Ok(Some(Entry::Histogram(entry))) => {
                entry.series.labels(&mut labels).ok();
                said.push(format!("{:?}", entry.histogram));
                texts.push(entry.series.as_bytes().to_vec());
            }
        }
    }
    (said, texts)
}

// A body in one of the formats, which the first byte chooses: a second scrape, which expects the series of the first, finds
// the same. So does one that expects them one place off.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let format = [Format::Text004, Format::OpenMetrics100, Format::Protobuf][usize::from(choice & 0x0f) % 3];
    let options = ParseOptions { native_histograms: choice & 0x10 != 0, keep_classic: choice & 0x20 != 0 };
    let (said, texts) = read(body, format, options, &[]);
    assert_eq!(read(body, format, options, &texts).0, said);
    assert_eq!(read(body, format, options, texts.get(1..).unwrap_or_default()).0, said);
});
