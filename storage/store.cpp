#include "storage/store.hpp"

#include "storage/store_impl.hpp"

namespace belay::storage {

namespace {

/// The stored time may lag behind the last one given by as much (batch.cpp, time_step_ms).
constexpr timestamp_ms time_lag_ms = 1'000;

} // namespace

store::store(options opts) : impl_{std::make_unique<impl>(std::move(opts))} {}

store::~store() {
  if (!impl_->opts.read_only) {
    impl_->dropped.release_all();
  }
}

batch_result
store::impl::apply(std::span<const operation> operations, const batch_context& context) {
  env.forget_dead_readers(opts.reader_check_every);
  dropped.release();
  transaction txn{env, transaction::mode::write};
  batch work{shared, txn, context};
  std::vector<answer> answers;
  answers.reserve(operations.size());
  for (const auto& op : operations) {
    answers.push_back(work.apply(op));
  }
  work.finish();
  const auto written = txn.dirty();
  if (written) {
    const auto number = txn.number();
    txn.commit();
    shared.names = work.names();
    dropped.add(work.dropped_blobs(), number);
  }
  auto result = work.take(std::move(answers));
  result.written = written;
  return result;
}

batch_result store::apply(std::span<const operation> operations, const batch_context& context) {
  if (impl_->opts.read_only) {
    throw error{error_kind::unusable, "the store was opened to be read only"};
  }
  try {
    return impl_->apply(operations, context);
  } catch (const error& x) {
    if (x.kind() == error_kind::full) {
      // Nothing of the batch was written. Those that follow have the ballast's room.
      impl_->env.give_ballast_up();
    } else {
      impl_->dropped.forget();
    }
    throw;
  }
}

void store::remove_waste() {
  impl_->dropped.doubt_all();
  impl_->dropped.release_all();
}

std::string store::name(std::uint32_t number) const {
  const transaction txn{impl_->env, transaction::mode::read};
  return table_reader{txn, impl_->tables, impl_->blobs}.name(number);
}

timestamp_ms store::last_time() const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  const auto stored = static_cast<timestamp_ms>(read.meta(meta_keys::time));
  return stored == 0 ? 0 : stored + time_lag_ms;
}

} // namespace belay::storage
