package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// prefix stands before every name.
const prefix = "retire_cluster_"

// metric is a metric of which every scrape makes the values anew.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc(prefix+name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc(prefix+name, help, labels, nil), prometheus.CounterValue}
}

// distribution is a histogram; of its kind there is one.
func distribution(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

var (
	up          = gauge("up", "Whether the main node answers.")
	info        = gauge("info", "The main node and its version.", "main_node", "version")
	started     = gauge("start_time_seconds", "When the main node started, in seconds since 1970. Its counters begin then.")
	sessions    = gauge("sessions", "Connections of devices and clients.")
	memoryHeld  = gauge("memory_bytes", "Memory that the main node holds.")
	database    = gauge("database_bytes", "Size of the main node's database.")
	journal     = gauge("wal_bytes", "Size of the write-ahead log of the main node's database.")
	backedUp    = gauge("backup_last_success_timestamp_seconds", "When the last backup was made, or found to hold everything still, in seconds since 1970; 0: never.")
	backupsLost = counter("backup_failures_total", "Backups that failed.")
	requests    = counter("requests_total", "Messages that the main node took.")
	batches     = counter("batches_total", "Transactions that the main node committed.")
	commitTime  = counter("commit_seconds_total", "Time that the main node spent in commits.")
	commitTimes = distribution("commit_duration_seconds", "How long commits of the main node took.")
	batchInputs = distribution("batch_messages", "Messages that the main node committed together.")
	lastEvent   = gauge("last_event", "Number of the last event.")
	outputKept  = gauge("output_bytes", "Output of tasks that the main node keeps.")
	slots       = gauge("slots", "Attempts that the devices which are there can run at once.")
	slotsBusy   = gauge("slots_busy", "Slots that are taken.")
	tasksNow    = gauge("tasks", "Tasks that are kept, by state.", "state")
	queued      = gauge("queue_tasks", "Tasks in the queue, by priority.", "priority")
	classes     = gauge("queue_classes", "Different sets of requirements in the queue.")
	tasksIn     = counter("tasks_submitted_total", "Tasks that were submitted.")
	tasksEnded  = counter("tasks_ended_total", "Tasks that ended, by state.", "state")
	waitTime    = counter("tasks_wait_seconds_total", "Time from submission to the first start, of all tasks that were started.")
	assigned    = counter("attempts_assigned_total", "Attempts that were given to devices.")
	requeued    = counter("attempts_requeued_total", "Attempts after which the task went back to the queue.")
	lost        = counter("attempts_lost_total", "Attempts that were lost with their device.")
	runTime     = counter("attempts_run_seconds_total", "Time that attempts ran, of all that ended.")
	runTimes    = distribution("task_run_duration_seconds", "How long attempts ran, of all that ended, by the type of their task.", "task_type")
	waitTimes   = distribution("task_wait_duration_seconds", "Time from submission to the first start, by the type of the task.", "task_type")
	stale       = counter("results_stale_total", "Results that came too late to count.")
	orphaned    = counter("results_orphaned_total", "Results of attempts that the main node does not know, as after the restore of a backup.")
	diskFull    = gauge("storage_full", "Whether the main node's disk is full, so that nothing new is taken or given out.")
	devicesBy   = gauge("devices", "Devices, by status.", "status")
	deviceInfo  = gauge("device_info", "What a device is.", "device", "platform", "architecture", "role", "version")
	deviceUp    = gauge("device_up", "Whether a device is there: online, draining or paused.", "device")
	deviceBeat  = gauge("device_last_heartbeat_timestamp_seconds", "When a device was last heard of, in seconds since 1970.", "device")
	deviceSlots = gauge("device_slots", "Attempts that a device runs at once.", "device")
	deviceTasks = gauge("device_active_tasks", "Attempts that a device holds.", "device")
	deviceEnded = counter("device_tasks_ended_total", "Tasks that a device ended since it joined, by state.", "device", "state")
	deviceCores = gauge("device_cpu_cores", "Cores of a device.", "device")
	deviceCPU   = gauge("device_cpu_usage_ratio", "How busy the cores of a device are, from 0 to 1.", "device")
	deviceRAM   = gauge("device_memory_bytes", "Memory of a device.", "device")
	deviceUsed  = gauge("device_memory_usage_ratio", "How much of a device's memory is in use, from 0 to 1.", "device")
	deviceDisk  = gauge("device_disk_usage_ratio", "How full the disk of a device is, from 0 to 1.", "device")
	deviceHeat  = gauge("device_temperature_celsius", "Temperature of a device.", "device")
	devicePower = gauge("device_battery_ratio", "How full the battery of a device is, from 0 to 1.", "device")
	deviceMains = gauge("device_charging", "Whether the battery of a device is being charged.", "device")
	deviceLoad  = gauge("device_load1", "Load average of a device over a minute.", "device")
	deviceIn    = counter("device_network_receive_bytes_total", "Bytes that a device received since it was booted.", "device")
	deviceOut   = counter("device_network_transmit_bytes_total", "Bytes that a device sent since it was booted.", "device")
	deviceRead  = counter("device_disk_read_bytes_total", "Bytes that a device read from its disks since it was booted.", "device")
	deviceWrote = counter("device_disk_written_bytes_total", "Bytes that a device wrote to its disks since it was booted.", "device")
)

// collector makes metrics of one look at the main node.
type collector struct {
	ctx context.Context // of who wants to see them
	asker
}

// Describe says nothing: which metrics there are depends on the cluster.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// scrapeTime is shorter than what Prometheus allows, so that it hears of a main node that hangs.
const scrapeTime = 5 * time.Second

// look is what one scrape shows.
type look struct {
	metrics wire.Metrics
	devices []device.Device
}

// Collect looks once. Of a main node that is away nothing is known but that.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(c.ctx, scrapeTime)
	defer cancel()
	out := values(ch)
	seen, err := get(c.asker, func(c *client.Client) (l look, err error) {
		if l.metrics, err = c.Metrics(ctx); err == nil {
			l.devices, err = c.Devices(ctx)
		}
		return l, err
	})
	if err != nil {
		out.put(up, 0)
		return
	}
	out.put(up, 1)
	out.mainNode(&seen.metrics)
	out.queue(&seen.metrics)
	out.devices(&seen.metrics.Cluster, seen.devices)
}

// values takes the values of metrics.
type values chan<- prometheus.Metric

func (out values) put(m metric, value float64, labels ...string) {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	out <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
}

// spread puts a histogram; one that an older main node does not tell is left out.
func (out values) spread(d *prometheus.Desc, h *wire.Histogram, labels ...string) {
	if len(h.Counts) != len(h.Bounds)+1 {
		return
	}
	buckets, sum := make(map[float64]uint64, len(h.Bounds)), uint64(0)
	for i, bound := range h.Bounds {
		sum += uint64(h.Counts[i])
		buckets[bound] = sum
	}
	sum += uint64(h.Counts[len(h.Bounds)])
	out <- prometheus.MustNewConstHistogram(d, sum, h.Sum, buckets, labels...)
}

func (out values) mainNode(m *wire.Metrics) {
	s := &m.Cluster
	out.put(info, 1, s.MainNode, s.Version)
	out.put(started, float64(s.Started.UnixMilli())/1000)
	out.put(sessions, float64(m.Sessions))
	out.put(memoryHeld, float64(m.MemoryBytes))
	out.put(database, float64(m.DatabaseBytes))
	out.put(journal, float64(m.WALBytes))
	out.put(backedUp, float64(m.BackedUp))
	out.put(backupsLost, float64(m.BackupFailures))
	out.put(requests, float64(m.Requests))
	out.put(batches, float64(m.Batches))
	out.put(commitTime, m.CommitSeconds)
	out.spread(commitTimes, &m.CommitTimes)
	out.spread(batchInputs, &m.BatchInputs)
	out.put(lastEvent, float64(s.LastEvent))
	out.put(outputKept, float64(m.OutputBytes))
}

func (out values) queue(m *wire.Metrics) {
	out.put(slots, float64(m.Cluster.Slots))
	out.put(slotsBusy, float64(m.Cluster.SlotsBusy))
	for state, n := range m.Cluster.Tasks {
		out.put(tasksNow, float64(n), state)
	}
	for priority, n := range m.QueueByPrio {
		out.put(queued, float64(n), priority)
	}
	out.put(classes, float64(m.QueueByClass))
	out.put(tasksIn, float64(m.Submitted))
	for state, n := range m.Ended {
		out.put(tasksEnded, float64(n), state)
	}
	out.put(waitTime, m.WaitSeconds)
	out.put(assigned, float64(m.Assigned))
	out.put(requeued, float64(m.Requeued))
	out.put(lost, float64(m.Lost))
	out.put(runTime, m.RunSeconds)
	for taskType, h := range m.Runs {
		out.spread(runTimes, &h, strings.ToValidUTF8(taskType, "\uFFFD"))
	}
	for taskType, h := range m.Waits {
		out.spread(waitTimes, &h, strings.ToValidUTF8(taskType, "\uFFFD"))
	}
	out.put(stale, float64(m.Stale))
	out.put(orphaned, float64(m.Orphans))
	out.put(diskFull, truth(m.Cluster.Storage != ""))
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (out values) devices(s *cluster.Status, devices []device.Device) {
	for _, status := range device.Statuses { // also those that no device has: a gap in a graph is no zero
		out.put(devicesBy, float64(s.Devices[status]), string(status))
	}
	for i := range devices {
		out.device(&devices[i])
	}
}

func (out values) device(d *device.Device) {
	p, isUp := &d.Profile, 1.0
	if d.Status == device.Offline {
		isUp = 0
	}
	out.put(deviceInfo, 1, d.ID, p.Info.Platform, p.Info.Architecture, p.Info.Role, p.Version)
	out.put(deviceUp, isUp, d.ID)
	if !d.LastSeen.IsZero() {
		out.put(deviceBeat, float64(d.LastSeen.UnixMilli())/1000, d.ID)
	}
	out.put(deviceSlots, float64(p.Slots), d.ID)
	out.put(deviceTasks, float64(d.ActiveTasks), d.ID)
	out.put(deviceEnded, float64(d.Completed), d.ID, "completed")
	out.put(deviceEnded, float64(d.Failed), d.ID, "failed")
	out.put(deviceCores, float64(p.Hardware.CPUCores), d.ID)
	out.put(deviceRAM, float64(p.Hardware.Memory), d.ID)
	if isUp == 1 { // what was true when it was last heard of is not true now
		out.measured(d.ID, &d.Metrics)
	}
}

func (out values) measured(id string, m *device.Metrics) {
	for _, v := range []struct {
		metric metric
		value  *float64
		unit   float64
	}{{deviceCPU, m.CPU, 100}, {deviceUsed, m.Memory, 100}, {deviceDisk, m.Disk, 100}, {deviceHeat, m.Temperature, 1}, {devicePower, m.Battery, 100}} {
		if v.value != nil {
			out.put(v.metric, *v.value/v.unit, id)
		}
	}
	for _, v := range []struct {
		metric metric
		value  *int64
	}{{deviceIn, m.Received}, {deviceOut, m.Sent}, {deviceRead, m.DiskRead}, {deviceWrote, m.DiskWritten}} {
		if v.value != nil {
			out.put(v.metric, float64(*v.value), id)
		}
	}
	if m.Charging != nil {
		out.put(deviceMains, truth(*m.Charging), id)
	}
	if len(m.Load) > 0 {
		out.put(deviceLoad, m.Load[0], id)
	}
}

// metrics answers Prometheus, in whichever of its formats it asks for.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) error {
	promhttp.HandlerFor(metricsOf(r.Context(), s.asker(r.Context())), promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(w, r)
	return nil
}

// metricsOf are the metrics as an asker sees them.
func metricsOf(ctx context.Context, a asker) *prometheus.Registry {
	all := prometheus.NewRegistry()
	all.MustRegister(&collector{ctx, a})
	return all
}

// textMetrics is the same for people and scripts: always the text format.
func (s *Server) textMetrics(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	if f := q.one("format"); f != "" && f != "text" {
		q.fail(invalid("unknown format %.40q: metrics are text only", f))
	}
	if err := q.check(); err != nil {
		return err
	}
	r = r.Clone(r.Context())
	r.Header.Del("Accept")
	r.Header.Del("Accept-Encoding")
	return s.metrics(w, r)
}
