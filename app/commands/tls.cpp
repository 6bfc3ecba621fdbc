// belay tls: a private authority, and the certificates that it signs.
#include "actors/gate/certificates.hpp"
#include "app/commands/commands.hpp"
#include "messages/time.hpp"

#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

namespace fs = std::filesystem;

struct tls_options {
  std::string directory;
  std::string file;
  std::string out;
  std::string role;
  gates::authority_request authority;
  gates::certificate_request certificate;
};

void must(const std::optional<refusal>& no) {
  if (no) {
    throw command_failure{exit_code_of(*no), no->text};
  }
}

exit_code init(const common_options& common, tls_options& given) {
  given.authority.now = wall_now();
  must(gates::make_authority(given.directory, given.authority));
  if (!common.quiet) {
    print_line(given.directory + ": ca.pem for everybody, ca-key.pem for nobody else");
  }
  return exit_code::success;
}

exit_code issue(const common_options& common, tls_options& given) {
  const auto what = gates::role_from(given.role);
  if (!what) {
    throw command_failure{exit_code::usage, "--role: '" + given.role
                                              + "' is not acceptable, expected read, operate, "
                                                "worker or admin"};
  }
  given.certificate.what = *what;
  given.certificate.now = wall_now();
  const auto to
    = given.out.empty() ? fs::path{given.directory} / given.certificate.name : fs::path{given.out};
  must(gates::issue_certificate(given.directory, to, given.certificate));
  if (!common.quiet) {
    print_line(to.string() + ": ca.pem, cert.pem and key.pem for --tls");
  }
  return exit_code::success;
}

exit_code show(const common_options& common, const std::string& file) {
  const auto x = expect(gates::read_certificate(file));
  const auto role = x.is_authority ? "authority"
                    : x.what       ? std::string{to_string(*x.what)}
                                   : "none";
  if (common.quiet) {
    return exit_code::success;
  }
  if (common.format == output_format::json) {
    print_line(nlohmann::json{{"name", x.name},
                              {"role", role},
                              {"hosts", x.hosts},
                              {"issuer", x.issuer},
                              {"valid_from", format_time(x.valid_from)},
                              {"valid_until", format_time(x.valid_until)},
                              {"sha256", x.fingerprint}}
                 .dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return exit_code::success;
  }
  std::string hosts;
  for (const auto& host : x.hosts) {
    hosts += (hosts.empty() ? "" : ", ") + host;
  }
  print_line("name         " + printable(x.name));
  print_line("role         " + role);
  print_line("hosts        " + (hosts.empty() ? "-" : printable(hosts)));
  print_line("issuer       " + printable(x.issuer));
  print_line("valid from   " + format_time(x.valid_from));
  print_line("valid until  " + format_time(x.valid_until)
             + (x.valid_until < wall_now() ? " (expired)" : ""));
  print_line("sha256       " + x.fingerprint);
  return exit_code::success;
}

using tls_command = exit_code (*)(const common_options&, tls_options&);

CLI::App& add(CLI::App& group, common_options& common, command_action& action, const char* name,
              const char* help, const std::shared_ptr<tls_options>& given, tls_command run) {
  auto& command = *group.add_subcommand(name, help);
  add_output(command, common);
  command.callback([&common, &action, given, run] {
    action = [&common, given, run] { return run(common, *given); };
  });
  return command;
}

} // namespace

void add_tls_commands(CLI::App& app, common_options& common, command_action& action) {
  auto& group = *app.add_subcommand("tls", "A private authority and its certificates");
  group.require_subcommand(1);
  group.footer(
    "Example: belay tls init ca && belay tls issue ca db --role admin --host db.example");
  const auto given = std::make_shared<tls_options>();

  auto& make = add(group, common, action, "init", "Make an authority in a directory", given, init);
  make.add_option("DIR", given->directory, "Directory; made when there is none")->required();
  make.add_option("--days", given->authority.days, "How long it is valid");
  make.add_option("--name", given->authority.name, "Its name, for people");
  make.footer("Keep ca-key.pem where only you can reach it: who has it can be anybody.\n"
              "Example: belay tls init ca --days 3650");

  auto& sign = add(group, common, action, "issue", "Make a key and a certificate", given, issue);
  sign.add_option("DIR", given->directory, "The authority's directory")->required();
  sign.add_option("NAME", given->certificate.name, "Who it is for")->required();
  sign.add_option("--role", given->role, "read, operate, worker or admin")
    ->type_name("{read,operate,worker,admin}")
    ->required();
  sign
    .add_option("--host", given->certificate.hosts,
                "DNS name or IP address under which the node is connected to; repeatable")
    ->allow_extra_args(false)
    ->take_all();
  sign.add_option("--days", given->certificate.days, "How long it is valid");
  sign.add_option("--out", given->out, "Where it goes (default: DIR/NAME)")->type_name("DIR");
  sign.footer(
    "There is no list of revoked certificates: issue them for as long as you trust them.\n"
    "Example: belay tls issue ca db --role admin --host db.example --days 90");

  auto& view = add(group, common, action, "show", "Say what is in a certificate", given,
                   [](const common_options& x, tls_options& y) { return show(x, y.file); });
  view.add_option("FILE", given->file, "A certificate in PEM form")->required();
  view.footer("Example: belay tls show ca/db/cert.pem");
}

} // namespace belay::app
