// Run a compiled model without Python: run_model LIBRARY CALLS RESULTS
//
// LIBRARY is an artifact or the shared library inside it. CALLS and RESULTS are tensor files, all numbers little-endian:
//
//   8 bytes   "BNNCALLS"
//   uint32    number of calls
//   per call  uint32 number of tensors, and per tensor
//             uint8 DLPack type code, uint8 bits, uint16 rank, int64 extents[rank], uint64 bytes, the values
//
// The main function of LIBRARY is called once for each call of CALLS; RESULTS holds what it returned, tuples flattened.

#include <tvm/ffi/container/array.h>
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace ffi = tvm::ffi;

namespace {

constexpr char kMagic[8] = {'B', 'N', 'N', 'C', 'A', 'L', 'L', 'S'};
constexpr uint16_t kMostAxes = 16;
constexpr int kPooledAllocator = 2;  // relax_vm AllocatorType::kPooled: buffers are reused from call to call

// Allocates the memory behind the input tensors; vector instructions like their data aligned.
struct AlignedMemory {
  static constexpr size_t kAlignment = 64;
  void AllocData(DLTensor* tensor) {
    size_t bytes = ffi::GetDataSize(*tensor);
    tensor->data = std::aligned_alloc(kAlignment, (bytes / kAlignment + 1) * kAlignment);
    if (tensor->data == nullptr) throw std::bad_alloc();
  }
  void FreeData(DLTensor* tensor) { std::free(tensor->data); }
};

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), file_(path, std::ios::binary) {
    if (!file_) throw std::runtime_error("cannot open " + path);
    char magic[sizeof(kMagic)];
    Read(magic, sizeof(magic));
    if (std::memcmp(magic, kMagic, sizeof(kMagic)) != 0) throw std::runtime_error(path + " is no tensor file");
  }

  template <typename T>
  T Number() {
    T value;
    Read(&value, sizeof(value));
    return value;
  }

  ffi::Tensor Tensor() {
    DLDataType dtype{Number<uint8_t>(), Number<uint8_t>(), 1};
    uint16_t rank = Number<uint16_t>();
    if (rank > kMostAxes) throw std::runtime_error(path_ + " holds a tensor of rank " + std::to_string(rank));
    std::vector<int64_t> extents(rank);
    for (int64_t& extent : extents) extent = Number<int64_t>();
    uint64_t bytes = Number<uint64_t>();
    ffi::Tensor tensor = ffi::Tensor::FromNDAlloc(AlignedMemory(), ffi::Shape(extents), dtype, DLDevice{kDLCPU, 0});
    if (bytes != ffi::GetDataSize(tensor)) throw std::runtime_error(path_ + " holds a tensor of the wrong size");
    Read(tensor.data_ptr(), bytes);
    return tensor;
  }

 private:
  void Read(void* into, size_t bytes) {
    if (!file_.read(static_cast<char*>(into), static_cast<std::streamsize>(bytes))) {
      throw std::runtime_error(path_ + " is cut short");
    }
  }

  std::string path_;
  std::ifstream file_;
};

class Writer {
 public:
  explicit Writer(const std::string& path) : path_(path), file_(path, std::ios::binary) { Write(kMagic, sizeof(kMagic)); }

  template <typename T>
  void Number(T value) {
    Write(&value, sizeof(value));
  }

  void Tensor(const ffi::Tensor& tensor) {
    Number<uint8_t>(tensor.dtype().code);
    Number<uint8_t>(tensor.dtype().bits);
    Number<uint16_t>(static_cast<uint16_t>(tensor.ndim()));
    for (int axis = 0; axis < tensor.ndim(); ++axis) Number<int64_t>(tensor.size(axis));
    uint64_t bytes = ffi::GetDataSize(tensor);
    Number<uint64_t>(bytes);
    Write(tensor.data_ptr(), bytes);
  }

  void Finish() {
    file_.close();
    if (!file_) throw std::runtime_error("cannot write " + path_);
  }

 private:
  void Write(const void* from, size_t bytes) {
    file_.write(static_cast<const char*>(from), static_cast<std::streamsize>(bytes));
  }

  std::string path_;
  std::ofstream file_;
};

ffi::Function Lookup(const ffi::Module& module, const char* name) {
  ffi::Optional<ffi::Function> found = module->GetFunction(name);
  if (!found.has_value()) throw std::runtime_error(std::string("the library has no function ") + name);
  return found.value();
}

ffi::Function LoadMain(const std::string& library) {
  // Through the registry, whose calls return errors over a C ABI. The C++ method throws, and an exception cannot cross
  // from the libstdc++ that TVM's libraries were built with to the C++ library that this program may have.
  ffi::Function load = ffi::Function::GetGlobalRequired("ffi.ModuleLoadFromFile");
  ffi::Module executable = load(library).cast<ffi::Module>();
  ffi::Module machine = Lookup(executable, "vm_load_executable")().cast<ffi::Module>();
  Lookup(machine, "vm_initialization")(static_cast<int>(kDLCPU), 0, kPooledAllocator);
  return Lookup(machine, "main");
}

void Flatten(const ffi::Any& value, std::vector<ffi::Tensor>* tensors) {
  if (std::optional<ffi::Tensor> tensor = value.as<ffi::Tensor>()) {
    tensors->push_back(*tensor);
    return;
  }
  for (const ffi::Any& field : value.cast<ffi::Array<ffi::Any>>()) Flatten(field, tensors);
}

std::vector<ffi::Tensor> Call(const ffi::Function& function, const std::vector<ffi::Tensor>& inputs) {
  std::vector<ffi::AnyView> arguments(inputs.begin(), inputs.end());
  ffi::Any result;
  function.CallPacked(arguments.data(), static_cast<int32_t>(arguments.size()), &result);
  std::vector<ffi::Tensor> outputs;
  Flatten(result, &outputs);
  return outputs;
}

void Run(const std::string& library, const std::string& calls_path, const std::string& results_path) {
  Reader calls(calls_path);
  ffi::Function main_function = LoadMain(library);
  Writer results(results_path);
  uint32_t count = calls.Number<uint32_t>();
  results.Number<uint32_t>(count);
  for (uint32_t call = 0; call < count; ++call) {
    std::vector<ffi::Tensor> inputs(calls.Number<uint32_t>());
    for (ffi::Tensor& input : inputs) input = calls.Tensor();
    std::vector<ffi::Tensor> outputs = Call(main_function, inputs);
    results.Number<uint32_t>(static_cast<uint32_t>(outputs.size()));
    for (const ffi::Tensor& output : outputs) results.Tensor(output);
  }
  results.Finish();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: run_model LIBRARY CALLS RESULTS\n";
    return 2;
  }
  try {
    Run(argv[1], argv[2], argv[3]);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "run_model: " << error.what() << "\n";
    return 1;
  }
}
