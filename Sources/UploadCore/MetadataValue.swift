/// A value of an asset's `user_metadata`: "one of `string`, `integer`, `float`, or `boolean`", as the platform's
/// specification has it.
public enum MetadataValue: Sendable, Equatable, Codable {
    /// Text.
    case string(String)
    /// A whole number. It reaches the platform digit by digit.
    case integer(Int64)
    /// Any other number; finite, since JSON has no word for what is not.
    case float(Double)
    /// True or false.
    case boolean(Bool)

    /// What the specification says to do with everything else.
    public static let otherTypes =
        "values are one of string, integer, float, or boolean; to store other types of data, such as objects or arrays, convert your data into string values"

    /// Names that the specification (of February 2026) keeps for metadata of the platform's own: "You cannot override the
    /// following system-generated metadata fields".
    public static let systemKeys: Set<String> = [
        "duration", "filename", "fps", "height", "model_names", "size", "video_title", "width",
    ]
}
