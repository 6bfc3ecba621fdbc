#include "actors/trace/http_sink.hpp"

#include <curl/curl.h>
#include <mutex>
#include <stdexcept>

namespace belay::tracing {

namespace {

constexpr std::int64_t http_ok_first = 200;
constexpr std::int64_t http_ok_last = 299;

struct list_deleter {
  void operator()(curl_slist* x) const {
    curl_slist_free_all(x);
  }
};

struct easy_deleter {
  void operator()(CURL* x) const {
    curl_easy_cleanup(x);
  }
};

struct url_deleter {
  void operator()(CURLU* x) const {
    curl_url_cleanup(x);
  }
};

using header_list = std::unique_ptr<curl_slist, list_deleter>;

/// Not safe to be called by two threads at once in every libcurl (curl_global_init(3)).
void prepare_curl() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
      throw std::runtime_error{"libcurl cannot be used"};
    }
  });
}

/// What the collector says is of no use to us, and may be long.
std::size_t ignore_body(char* /*data*/, std::size_t size, std::size_t count, void* /*user*/) {
  return size * count;
}

int ask_hurry(void* user, curl_off_t /*down_all*/, curl_off_t /*down*/, curl_off_t /*up_all*/,
              curl_off_t /*up*/) {
  return (*static_cast<const std::function<bool()>*>(user))() ? 1 : 0;
}

bool is_transient(std::int64_t status) {
  constexpr std::int64_t too_many_requests = 429;
  constexpr std::int64_t bad_gateway = 502;
  constexpr std::int64_t unavailable = 503;
  constexpr std::int64_t gateway_timeout = 504;
  return status == too_many_requests || status == bad_gateway || status == unavailable
         || status == gateway_timeout;
}

} // namespace

std::optional<refusal> check_endpoint(const std::string& url) {
  const std::unique_ptr<CURLU, url_deleter> parsed{curl_url()};
  char* scheme = nullptr;
  const auto well = parsed && curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) == CURLUE_OK
                    && curl_url_get(parsed.get(), CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK;
  const std::string found{scheme == nullptr ? "" : scheme};
  curl_free(scheme);
  if (!well || (found != "http" && found != "https")) {
    return refusal{ec::bad_request, "'" + url
                                      + "' is not acceptable, expected an address such as "
                                        "http://127.0.0.1:4318/v1/traces"};
  }
  return std::nullopt;
}

struct http_sink::impl {
  std::string url;
  header_list headers;
  std::unique_ptr<CURL, easy_deleter> easy;
};

http_sink::http_sink(std::string url, duration_ms timeout_ms) : impl_{std::make_unique<impl>()} {
  prepare_curl();
  auto& x = *impl_;
  x.url = std::move(url);
  x.easy.reset(curl_easy_init());
  x.headers.reset(curl_slist_append(nullptr, "Content-Type: application/json"));
  // Without it a large body waits for a word from the server first.
  if (!x.easy || !x.headers || curl_slist_append(x.headers.get(), "Expect:") == nullptr) {
    throw std::runtime_error{"libcurl cannot be used"};
  }
  auto* easy = x.easy.get();
  curl_easy_setopt(easy, CURLOPT_URL, x.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<std::int64_t>(timeout_ms));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, x.headers.get());
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "belay");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore_body);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, ask_hurry);
}

http_sink::~http_sink() = default;

std::string http_sink::name() const {
  return impl_->url;
}

sent http_sink::write(const std::string& line, const std::function<bool()>& hurry) {
  auto* easy = impl_->easy.get();
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, const_cast<std::function<bool()>*>(&hurry));
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(line.size()));
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, line.data());
  const auto code = curl_easy_perform(easy);
  if (code != CURLE_OK) {
    return {delivery::again, curl_easy_strerror(code)};
  }
  long status = 0; // NOLINT(google-runtime-int): libcurl's type.
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  if (status >= http_ok_first && status <= http_ok_last) {
    return {};
  }
  return {is_transient(status) ? delivery::again : delivery::refused,
          "HTTP status " + std::to_string(status)};
}

} // namespace belay::tracing
