/// An error of the API as the platform's page of error codes describes it.
struct DocumentedError: Sendable {
    var status: Int
    var message: String

    /// By code. The page gives no statuses: those are the specifications', and where these have none, what is seen.
    static let all: [String: DocumentedError] = [
        "parameter_invalid": DocumentedError(status: 400, message: "The request contains some invalid parameters."),
        "parameter_not_provided": DocumentedError(
            status: 400, message: "Some required parameters are not provided."),
        "parameter_unknown": DocumentedError(status: 400, message: "The request contains some unknown parameters."),
        "resource_not_exist": DocumentedError(status: 404, message: "The resource does not exist."),
        "resource_already_exists": DocumentedError(status: 409, message: "The resource already exists."),
        "unauthorized": DocumentedError(
            status: 401, message: "Authentication failed. Please check your credentials and try again."),
        "api_key_invalid": DocumentedError(status: 403, message: "API Key is either invalid or expired."),
        "api_not_allowed": DocumentedError(status: 403, message: "API is not allowed to use."),
        "api_allowed_for_paid_plan": DocumentedError(status: 403, message: "API is allowed for paid plan only."),
        "api_upgrade_required": DocumentedError(status: 403, message: "Your plan has to be upgraded to use this API."),
        "region_not_allowed": DocumentedError(
            status: 403, message: "Twelve Labs API is not available in your region."),
        "tags_not_allowed": DocumentedError(status: 403, message: "The tag is not allowed to use."),
        "read_not_allowed": DocumentedError(
            status: 403, message: "You do not have permission to read this resource."),
        "too_many_requests": DocumentedError(status: 429, message: "You have exceeded the rate limit."),
        "request_canceled_or_timed_out": DocumentedError(status: 408, message: "Request canceled."),
        "internal_server_error": DocumentedError(status: 500, message: "An error occurred."),
    ]
}
