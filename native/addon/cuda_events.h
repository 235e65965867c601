// The order between the two streams of a step while it is captured: an event behind each launch that the other stream waits for.
// The graph keeps the order; the events are needed no longer then.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "cuda_driver.h"
#include "device.h"

namespace ultramem::addon {

// Check: (Result, what was being done, LaunchSpec* or null), throws a Fault.
template <class Check>
class CudaEvents {
 public:
  CudaEvents(const driver::Driver& driver, const LaunchList& list, Check check)
      : driver_(driver), list_(list), check_(check), behind_(size_t(list.launch_count)) {}
  ~CudaEvents() {
    for (driver::Event event : behind_) destroy(event);
    destroy(begin_);
  }
  CudaEvents(const CudaEvents&) = delete;
  CudaEvents& operator=(const CudaEvents&) = delete;

  // Before the capture, as whatever may take memory.
  void make() {
    int joined = -1;
    for (int i = 0; i < list_.launch_count; i++) {
      const LaunchSpec& launch = list_.launches[i];
      if (launch.stream == 0) joined = std::max(joined, launch.after);
      else last_beside_ = i;
      if (launch.after >= 0) make(behind_[size_t(launch.after)], launch.after);
    }
    if (last_beside_ < 0) return;
    make(begin_, 0);
    if (last_beside_ > joined) make(behind_[size_t(last_beside_)], last_beside_);
    else last_beside_ = -1;
  }

  // A stream enters a capture by waiting for an event that is in it.
  void fork(driver::Stream stream, driver::Stream beside) {
    if (begin_ == nullptr) return;
    check_(driver_.event_record(begin_, stream), "forking streams before", &list_.launches[0]);
    check_(driver_.stream_wait_event(beside, begin_, 0), "forking streams before", &list_.launches[0]);
  }

  void before(int i, driver::Stream stream) {
    const int after = list_.launches[i].after;
    if (after < 0) return;
    check_(driver_.stream_wait_event(stream, behind_[size_t(after)], 0), "ordering streams before", &list_.launches[i]);
  }

  void behind(int i, driver::Stream stream) {
    if (behind_[size_t(i)] == nullptr) return;
    check_(driver_.event_record(behind_[size_t(i)], stream), "ordering streams after", &list_.launches[i]);
  }

  // A capture ends with all that entered it joined.
  void join(driver::Stream stream) {
    if (last_beside_ < 0) return;
    check_(driver_.stream_wait_event(stream, behind_[size_t(last_beside_)], 0), "joining streams after",
           &list_.launches[last_beside_]);
  }

 private:
  void make(driver::Event& event, int i) {
    if (event == nullptr) check_(driver_.event_create(&event, driver::kUntimed), "making an event for", &list_.launches[i]);
  }
  void destroy(driver::Event event) const {
    if (event != nullptr) driver_.event_destroy(event);
  }

  const driver::Driver& driver_;
  const LaunchList& list_;
  const Check check_;
  std::vector<driver::Event> behind_;  // each launch; null where nobody waits for it
  driver::Event begin_ = nullptr;      // before all launches; null where one stream is enough
  int last_beside_ = -1;               // of stream 1, if no launch of stream 0 waits for it
};

}  // namespace ultramem::addon
