// A torch device in the processor's memory, for machines without an accelerator: tensors have to be moved to it and back,
// an operator given tensors of both devices is refused as CUDA refuses it, and its memory is counted and may run out.
// What an operator computes, the processor computes: of a GPU's arithmetic this says nothing.
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <ATen/native/TensorShape.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/library.h>

#include <atomic>
#include <cstring>
#include <set>
#include <string>

namespace {

constexpr auto kTwin = c10::DeviceType::PrivateUse1;

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kTwin; }
  c10::Device exchangeDevice(c10::Device) const override { return {kTwin, 0}; }
  c10::Device getDevice() const override { return {kTwin, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, c10::Device(kTwin, 0)); }
  c10::Stream exchangeStream(c10::Stream) const override { return c10::Stream(c10::Stream::DEFAULT, c10::Device(kTwin, 0)); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void init() const override {}
};

std::atomic<int64_t> used{0}, peak{0}, limit{0};

struct Piece {
  void* data;
  int64_t bytes;
};

struct Memory final : c10::Allocator {
  static void release(void* context) {
    auto* piece = static_cast<Piece*>(context);
    used -= piece->bytes;
    c10::free_cpu(piece->data);
    delete piece;
  }
  c10::DataPtr allocate(size_t bytes) override {
    const auto wanted = used + static_cast<int64_t>(bytes);
    TORCH_CHECK_WITH(OutOfMemoryError, limit == 0 || wanted <= limit, "twin out of memory: ", wanted, " of ", limit, " bytes");
    void* data = c10::alloc_cpu(bytes);
    used = wanted;
    if (wanted > peak) peak = wanted;
    return {data, new Piece{data, static_cast<int64_t>(bytes)}, &release, c10::Device(kTwin, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }
};
Memory memory;
REGISTER_ALLOCATOR(kTwin, &memory)

constexpr c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory, kKeys, c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &memory, kKeys, c10::dtype_or_default(dtype));
}

// The same memory as a tensor of the processor.
at::Tensor here(const at::Tensor& tensor) {
  if (tensor.device().type() != kTwin) return tensor;
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(), tensor.options().device(at::kCPU));
}

at::Tensor copy_from(const at::Tensor& source, const at::Tensor& target, bool) {
  here(target).copy_(here(source));
  return target;
}

at::Tensor copy_from_and_resize(const at::Tensor& source, const at::Tensor& target) {
  target.resize_(source.sizes());
  here(target).copy_(here(source));
  return target;
}

at::Tensor view(const at::Tensor& self, c10::SymIntArrayRef size) {
  return at::native::view(self, C10_AS_INTARRAYREF_SLOW(size));
}

at::Tensor as_strided(const at::Tensor& self, at::IntArrayRef size, at::IntArrayRef stride,
                      std::optional<int64_t> offset) {
  return at::native::as_strided_tensorimpl(self, size, stride, offset);
}

at::Tensor reshape_alias(const at::Tensor& self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
  return at::native::as_strided_tensorimpl(self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
                                           self.storage_offset());
}

const at::Tensor& resize_(const at::Tensor& self, at::IntArrayRef size, std::optional<at::MemoryFormat>) {
  at::native::resize_impl_cpu_(self.unsafeGetTensorImpl(), size, std::nullopt, true);
  return self;
}

at::Tensor there(const at::Tensor& tensor) { return tensor.defined() ? tensor.to(c10::Device(kTwin, 0)) : tensor; }

void same(const at::Tensor& a, const at::Tensor& b, const char* name) {
  TORCH_CHECK(a.device() == b.device(), "Expected all tensors to be on the same device: ", name, " got ", a.device(), " and ", b.device());
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                       at::IntArrayRef output_padding, int64_t groups) {
  same(input, weight, "convolution");
  std::optional<at::Tensor> own;
  if (bias && bias->defined()) { same(input, *bias, "convolution"); own = bias->cpu(); }
  return there(at::convolution(input.cpu(), weight.cpu(), own, stride, padding, dilation, transposed, output_padding, groups));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& grad, const at::Tensor& input, const at::Tensor& weight, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding, int64_t groups,
    std::array<bool, 3> mask) {
  same(input, weight, "convolution_backward");
  auto [a, b, c] = at::convolution_backward(grad.cpu(), input.cpu(), weight.cpu(), std::nullopt, stride, padding, dilation,
                                            transposed, output_padding, groups, mask);
  return {there(a), there(b), there(c)};
}

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  static const std::set<std::string> free = {"aten::index.Tensor", "aten::index_put_", "aten::_index_put_impl_", "aten::copy_", "aten::set_data"};
  const auto& name = op.schema().name();
  const auto full = op.schema().overload_name().empty() ? name : name + "." + op.schema().overload_name();
  bool first = false, second = false;
  const auto count = op.schema().arguments().size();
  auto look = [&](const at::Tensor& tensor) {
    if (!tensor.defined()) return;
    if (tensor.device().type() == kTwin) second = true;
    else if (tensor.dim() > 0) first = true;
  };
  for (const auto& value : torch::jit::last(*stack, count)) {
    if (value.isTensor()) look(value.toTensor());
    else if (value.isTensorList()) for (const at::Tensor& tensor : value.toTensorVector()) look(tensor);
    else if (value.isList()) for (const c10::IValue& item : value.toListRef()) if (item.isTensor()) look(item.toTensor());
  }
  TORCH_CHECK(!(first && second) || free.count(full) || free.count(name), "Expected all tensors to be on the same device, ", full, " got both");
  at::native::cpu_fallback(op, stack);
}

}  // namespace

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("view", view);
  m.impl("as_strided", as_strided);
  m.impl("_reshape_alias", reshape_alias);
  m.impl("resize_", resize_);
  m.impl("convolution_overrideable", convolution);
  m.impl("convolution_backward_overrideable", convolution_backward);
}

extern "C" {
void twin_start() { at::RegisterPrivateUse1HooksInterface(new Hooks()); }
void twin_limit(int64_t bytes) { limit = bytes; }
int64_t twin_used() { return used; }
int64_t twin_peak() {
  const int64_t seen = peak;
  peak = used.load();
  return seen;
}
}
