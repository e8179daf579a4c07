import PlatformClient
import Testing

@Suite struct RefusedParameterTests {
    @Test(arguments: [
        // As the platform's documentation has them.
        "The type parameter is invalid.", "The following parameters are invalid: type.",
        "The following parameters are invalid: filename, type, enable_hls.",
        // As others say it.
        "The type parameter is invalid: it must be one of video, audio, image.", "`type` must be video",
        "Invalid 'type'",
        "type: unknown value audio", "body.type: Input should be 'video'",
        "/type must be equal to one of the allowed values",
        "Key: 'CreateAssetUploadRequest.Type' Error:Field validation for 'Type' failed on the 'oneof' tag",
        "Unsupported asset type: audio", "The value of `type` is not known", "Type \"audio\" is not supported.",
        "There is something with the file. Type must be video.", "invalid file: \"type\" is audio",
    ])
    func aMessageNamesTheType(_ message: String) {
        #expect(RefusedParameter.isType(code: "parameter_invalid", message: message))
        #expect(RefusedParameter.isType(code: nil, message: message))
    }

    @Test(arguments: [
        "The request contains some invalid parameters.", "The filename parameter is invalid.", "",
        "Content-Type must be application/json", "content-type is missing", "The content type is not supported",
        "File type not supported", "Unsupported file type.", "The file_type parameter is invalid.",
        "Unknown media type",
        "The MIME type audio/mpeg is not allowed", "user_metadata.rating is of type string", "wrong type",
        "The filename parameter is invalid: its type has to be string.", "The asset_types parameter is invalid.",
        "The types parameter is invalid.", "A prototype", "typewriter.mp3",
        "Type-safe",
    ])
    func aMessageDoesNotNameTheType(_ message: String) {
        #expect(!RefusedParameter.isType(code: "parameter_invalid", message: message))
    }

    @Test(arguments: ["parameter_not_provided", "parameter_unknown", "api_upgrade_required", "resource_already_exists"])
    func otherCodesMeanSomethingElse(_ code: String) {
        #expect(!RefusedParameter.isType(code: code, message: "The type parameter is invalid."))
    }

    @Test(arguments: [
        ("The total_size parameter is invalid.", true),
        ("The following parameters are invalid: total_size, type.", true),
        ("The file is too large.", true), ("The maximum file size is 10 GB", true), ("File size exceeds 4GB", true),
        ("The user_metadata parameter is too large.", false), ("The filename parameter is invalid: too large.", false),
        ("The type parameter is invalid.", false), ("The request contains some invalid parameters.", false),
        ("", false),
    ])
    func aMessageIsAboutTheSizeOrNot(_ message: String, _ isSize: Bool) {
        #expect(RefusedParameter.isSize(message) == isSize)
    }

    @Test func withoutAMessageNothingIsNamed() {
        #expect(!RefusedParameter.isType(code: "parameter_invalid", message: nil))
        #expect(!RefusedParameter.isSize(nil))
    }
}
