/// A value of an asset's `user_metadata`: "one of `string`, `integer`, `float`, or `boolean`", as the platform's
/// specification has it.
public enum MetadataValue: Sendable, Equatable, Codable {
    /// Text.
    case string(String)
    /// A whole number, one of ``integers``. It reaches the platform digit by digit.
    case integer(Int64)
    /// Any other number; finite, since JSON has no word for what is not.
    case float(Double)
    /// True or false.
    case boolean(Bool)

    /// The integers that can be sent: "Send an integer wider than 53 bits (-9007199254740991 to 9007199254740991) […] as a
    /// string", as the official SDK (1.3.6) has it.
    public static let integers: ClosedRange<Int64> = -9_007_199_254_740_991...9_007_199_254_740_991

    /// What the specification says to do with everything else.
    public static let otherTypes =
        "values are one of string, integer, float, or boolean; to store other types of data, such as objects or arrays, convert your data into string values"

    /// Names that the specification (of February 2026) keeps for metadata of the platform's own: "You cannot override the
    /// following system-generated metadata fields".
    public static let systemKeys: Set<String> = [
        "duration", "filename", "fps", "height", "model_names", "size", "video_title", "width",
    ]
}
