//! Keeps records whose value contains the parameter `word`.
use std::sync::Mutex;

use fluvio_smartmodule::dataplane::smartmodule::SmartModuleExtraParams;
use fluvio_smartmodule::{eyre, smartmodule, Record, Result};

static WORD: Mutex<String> = Mutex::new(String::new());

#[smartmodule(init)]
fn init(params: SmartModuleExtraParams) -> Result<()> {
    match params.get("word") {
        Some(word) => {
            *WORD.lock().unwrap() = word.clone();
            Ok(())
        }
        None => Err(eyre!("the parameter word is missing")),
    }
}

#[smartmodule(filter)]
pub fn filter(record: &Record) -> Result<bool> {
    let word = WORD.lock().unwrap();
    Ok(std::str::from_utf8(record.value.as_ref())?.contains(word.as_str()))
}
