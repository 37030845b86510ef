//! All values so far, with the parameter `glue` between them.
use std::sync::Mutex;

use fluvio_smartmodule::dataplane::smartmodule::SmartModuleExtraParams;
use fluvio_smartmodule::{smartmodule, Record, RecordData, Result};

static GLUE: Mutex<String> = Mutex::new(String::new());

#[smartmodule(init)]
fn init(params: SmartModuleExtraParams) -> Result<()> {
    *GLUE.lock().unwrap() = params.get("glue").cloned().unwrap_or_default();
    Ok(())
}

#[smartmodule(aggregate)]
pub fn aggregate(accumulator: RecordData, record: &Record) -> Result<RecordData> {
    let mut text = std::str::from_utf8(accumulator.as_ref())?.to_owned();
    if !text.is_empty() {
        text.push_str(&GLUE.lock().unwrap());
    }
    text.push_str(std::str::from_utf8(record.value.as_ref())?);
    Ok(text.into())
}
