//! Failures as JavaScript gets them: data, not exceptions, so that `lib` makes the error with the caller's
//! stack.

use napi::Either;
use napi_derive::napi;

use crate::base::{CodeValue, Failure};

/// Why a native call did not do what was asked.
#[napi(object, js_name = "Failure")]
pub struct JsFailure {
    /// A number, or a name.
    pub code: Either<u32, String>,
    /// A text for people.
    pub message: String,
}

impl From<Failure> for JsFailure {
    fn from(failure: Failure) -> Self {
        let code = match failure.code.value() {
            CodeValue::Number(number) => Either::A(number.into()),
            CodeValue::Name(name) => Either::B(name.to_owned()),
        };
        Self { code, message: failure.message }
    }
}
