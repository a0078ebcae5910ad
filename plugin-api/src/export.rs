//! Turns a type that implements [`Driver`](crate::driver::Driver) into a library that the server can load.

/// Exports a driver: one line at the end of a `cdylib` crate.
///
/// ```ignore
/// onealert_plugin_api::export_plugin!(Horn, id: "com.example.horn", vendor: "Example", name: "Example horns");
/// ```
///
/// `id` is in reverse-DNS form and is never reused for another driver. The version is the crate's own. `api`, if given, is
/// the lowest plugin API that the driver needs; without it, `1.0`.
///
/// The macro writes the manifest into the section [`SECTION`](crate::manifest::SECTION) and the one symbol that the worker
/// looks for. A library holds one driver.
#[macro_export]
macro_rules! export_plugin {
    ($driver:ty, id: $id:literal, vendor: $vendor:literal, name: $name:literal $(,)?) => {
        $crate::export_plugin!($driver, id: $id, vendor: $vendor, name: $name, api: "1.0");
    };
    ($driver:ty, id: $id:literal, vendor: $vendor:literal, name: $name:literal, api: $api:literal $(,)?) => {
        const _: () = {
            const MANIFEST: &str = concat!(
                "{\"format\":1,\"id\":\"",
                $id,
                "\",\"vendor\":\"",
                $vendor,
                "\",\"name\":\"",
                $name,
                "\",\"version\":\"",
                env!("CARGO_PKG_VERSION"),
                "\",\"api\":\"",
                $api,
                "\"}"
            );
            const _: () = {
                $crate::__private::assert_plain($id);
                $crate::__private::assert_plain($vendor);
                $crate::__private::assert_plain($name);
                $crate::__private::assert_plain($api);
            };

            #[used]
            #[allow(unsafe_code)]
            #[unsafe(link_section = ".plugin.manifest")]
            static MANIFEST_SECTION: [u8; MANIFEST.len()] = $crate::__private::array(MANIFEST);

            struct Export;

            impl $crate::__private::Exported for Export {
                type Driver = $driver;
                const MANIFEST: &'static str = MANIFEST;
            }

            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            pub static _1as_0lib_1header_0root_bmodule_bloader: $crate::__private::LibHeader =
                // SAFETY: `construct` gives a reference to the module type named here.
                unsafe {
                    $crate::__private::LibHeader::from_constructor::<$crate::__private::PluginModV1_Ref>(
                        $crate::__private::construct::<Export>,
                        $crate::__private::CheckTypeLayout::Yes,
                    )
                };
        };
    };
}

/// A text as an array, in a constant.
#[doc(hidden)]
pub const fn array<const N: usize>(text: &str) -> [u8; N] {
    let bytes = text.as_bytes();
    assert!(bytes.len() == N, "the array has the text's length");
    let mut array = [0; N];
    let mut at = 0;
    while at < N {
        array[at] = bytes[at];
        at += 1;
    }
    array
}

/// Refuses, while compiling, a text that would have to be escaped in JSON.
#[doc(hidden)]
pub const fn assert_plain(text: &str) {
    let bytes = text.as_bytes();
    assert!(!bytes.is_empty(), "id, vendor, name and api of a plugin must not be empty");
    let mut at = 0;
    while at < bytes.len() {
        assert!(
            bytes[at] != b'"' && bytes[at] != b'\\' && bytes[at] >= 0x20,
            "id, vendor, name and api of a plugin must not contain quotes, backslashes or control characters"
        );
        at += 1;
    }
}
