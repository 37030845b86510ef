//! One record per word, with the key of the record that it came from.
use fluvio_smartmodule::{smartmodule, Record, RecordData, Result};

#[smartmodule(array_map)]
pub fn array_map(record: &Record) -> Result<Vec<(Option<RecordData>, RecordData)>> {
    let text = std::str::from_utf8(record.value.as_ref())?;
    Ok(text
        .split_whitespace()
        .map(|word| (record.key.clone(), word.into()))
        .collect())
}
