//! The sum of all numbers so far.
use fluvio_smartmodule::{smartmodule, Record, RecordData, Result};

#[smartmodule(aggregate)]
pub fn aggregate(accumulator: RecordData, record: &Record) -> Result<RecordData> {
    let so_far = std::str::from_utf8(accumulator.as_ref())?;
    let sum: i64 = if so_far.is_empty() { 0 } else { so_far.parse()? };
    let number: i64 = std::str::from_utf8(record.value.as_ref())?.parse()?;
    Ok((sum + number).to_string().into())
}
